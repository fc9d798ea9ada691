// The node's command. `run` and `serve` are wanted many times and soon: no Node is started for them, nor for
// `oci`. For the rest one is, and has what it needs beside it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

// docs/exit-codes.md: what is not the guest's own status.
enum { hostError = 125 };

static bool followRun(int server, const Message *message) {
  if (message->data[0] == doGuest) followGuest(server, message);
  if (message->data[0] == doExit) _exit(message->length > 1 ? (unsigned char)message->data[1] : hostError);
  return false;
}

_Noreturn static void run(int count, char **arguments) {
  failureStatus = hostError;
  callServer(count, arguments, sendRun, followRun);
}

// Replaces us by a program that is installed with us.
_Noreturn static void execute(const char *program, char **arguments) {
  char path[maxPath];
  if (!concat(path, sizeof path, libDirectory(), program, NULL)) fail(ENAMETOOLONG, program, NULL);
  arguments[0] = path;
  execv(path, arguments);
  fail(errno, "exec ", path, NULL);
}

_Noreturn static void executeNode(int count, char **arguments) {
  static char script[maxPath];
  char **all = calloc((size_t)count + 3, sizeof *all);
  if (all == NULL) fail(errno, "calloc", NULL);
  if (!concat(script, sizeof script, libDirectory(), "/cli.mjs", NULL)) fail(ENAMETOOLONG, "cli.mjs", NULL);
  all[1] = "--no-warnings";
  all[2] = script;
  for (int i = 1; i < count; i++) all[i + 2] = arguments[i];
  chooseUserPlaces();
  execute("/node", all);
}

int main(int count, char **arguments) {
  programName = "tandem";
  const char *verb = count > 1 ? arguments[1] : "";
  if (strcmp(verb, "run") == 0 || strcmp(verb, "serve") == 0) run(count, arguments);
  if (strcmp(verb, "oci") == 0) execute("/../../bin/tandem-oci", arguments + 1);
  executeNode(count, arguments);
}
