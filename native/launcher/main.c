#include <signal.h>
#include <string.h>

#include "launcher.h"

int main(int count, char **arguments) {
  const Options options = parseArguments(count, arguments);
  // A reader of our output that went away is an error of one write, not the end of a half-done start.
  signal(SIGPIPE, SIG_IGN);
  if (options.version)
    version();
  else if (options.info)
    info();
  else if (strcmp(options.action, "start") == 0)
    start(&options);
  else if (strcmp(options.action, "delete") == 0)
    delete (&options);
  else if (strcmp(options.action, "zygote") == 0)
    zygote();
  else
    fail(0, "usage: [flags] start|delete|zygote, -info or -v; containerd runs it, see docs/launcher.md",
         NULL);
  return 0;
}
