#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

// Root of the machine, and not only of a user namespace: its directories are the machine's.
static bool isMachineRoot(void) {
  if (geteuid() != 0) return false;
  char text[64] = {0};
  const int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  const ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  unsigned long inside = 1, outside = 1, count = 0;
  char *end = text;
  if (length > 0) {
    inside = strtoul(text, &end, 10);
    outside = strtoul(end, &end, 10);
    count = strtoul(end, &end, 10);
  }
  return inside == 0 && outside == 0 && count == 4294967295UL;
}

static void choose(const char *variable, const char *first, const char *second, const char *third) {
  char path[maxPath];
  if (getenv(variable) != NULL) return;
  if (!concat(path, sizeof path, first, second, third, NULL)) fail(ENAMETOOLONG, variable, NULL);
  if (setenv(variable, path, 1) != 0) fail(errno, variable, NULL);
}

// Each user has a zygote and a server of their own, whose files are below a directory that is theirs alone.
static void choosePlaces(void) {
  if (isMachineRoot()) return;
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  char digits[21];
  if (runtime != NULL && runtime[0] == '/')
    choose("TANDEM_RUN_DIR", runtime, "/tandem", "");
  else
    choose("TANDEM_RUN_DIR", "/tmp/tandem-", decimal(digits, geteuid()), "");
  choose("TANDEM_STATE_DIR", getenv("TANDEM_RUN_DIR"), "/cache", "");
}

// A caller may have closed any of the three; the next descriptor that we open would take the place, and
// become the container's.
static void openStdio(void) {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR);
    if (fd < 0) fail(errno, "/dev/null", NULL);
  } while (fd <= STDERR_FILENO);
  close(fd);
}

int main(int count, char **arguments) {
  programName = "tandem-oci";
  openStdio();
  // A reader of our output that went away is an error of one write.
  signal(SIGPIPE, SIG_IGN);
  choosePlaces();
  // An idle server may end at the very moment at which we connect: then there is a new one.
  for (int attempt = 0; attempt < 3; attempt++) {
    const int server = connectServer();
    if (sendCall(server, count, arguments)) serve(server);
    close(server);
  }
  fail(0, "the server ends before it answers; see zygote.log below ", runDirectory(), NULL);
}
