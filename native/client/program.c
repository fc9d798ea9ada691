#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"

enum { maxArguments = 16, firstInherited = 3 };

static const char truncated[] = "server: truncated message";

static void splitArguments(const Message *message, char **out) {
  char *at = message->data + 1;
  const char *end = message->data + message->length;
  size_t count = 0;
  for (; at < end && count < maxArguments; count++) {
    out[count] = at;
    at += strlen(at) + 1;
  }
  if (count == 0 || at < end) fail(0, truncated, NULL);
  out[count] = NULL;
}

// The copies stand where no descriptor is to go; dup2 then takes O_CLOEXEC off.
static int addDescriptors(const Message *message, int *copies, posix_spawn_file_actions_t *actions) {
  for (size_t i = 0; i < message->fdCount; i++) {
    copies[i] = fcntl(message->fds[i], F_DUPFD_CLOEXEC, firstInherited + maxDescriptors);
    if (copies[i] < 0) return errno;
    const int error = posix_spawn_file_actions_adddup2(actions, copies[i], firstInherited + (int)i);
    if (error != 0) return error;
  }
  return 0;
}

// We ignore SIGPIPE, and ignoring survives execve.
static int setDefaults(posix_spawnattr_t *attributes) {
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  const int error = posix_spawnattr_setsigdefault(attributes, &defaults);
  return error != 0 ? error : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF);
}

int executeProgram(const Message *message, pid_t *pid, int *pidfd) {
  char *arguments[maxArguments + 1];
  // criu executes ip and iptables.
  static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char *environment[] = {path, NULL};
  int copies[maxDescriptors];
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  for (size_t i = 0; i < maxDescriptors; i++) copies[i] = -1;
  splitArguments(message, arguments);
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int error = addDescriptors(message, copies, &actions);
  if (error == 0) error = setDefaults(&attributes);
  if (error == 0) error = posix_spawn(pid, arguments[0], &actions, &attributes, arguments, environment);
  if (error == 0) {
    // Our own child, not reaped: the number is still its.
    *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
    if (*pidfd < 0) error = errno;
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  for (size_t i = 0; i < message->fdCount; i++) {
    if (copies[i] >= 0) close(copies[i]);
    close(message->fds[i]);
  }
  return error;
}
