// Cleans up after one container with nothing but its bundle: the shim may be dead, or may have cleaned up
// already. It can run any number of times, and whatever is missing is as it should be (shim-protocol §1.12).
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "launcher.h"

// The socket belongs to the group: as long as a shim answers on it, or a start is about to put one there, it
// is not ours to remove.
static void removeDeadSocket(const char *path) {
  char ours[maxPath];
  struct stat status;
  if (!concat(ours, sizeof ours, runDirectory(), "/s/", NULL) || strncmp(path, ours, strlen(ours)) != 0)
    return;
  // connect(2) refuses a regular file in the same words as a dead socket.
  if (lstat(path, &status) != 0 || !S_ISSOCK(status.st_mode)) return;
  const int lock = lockSocket(path, false);
  if (lock < 0) return;
  if (probeSocket(path) == ECONNREFUSED && unlink(path) != 0 && errno != ENOENT)
    warn(errno, "unlink ", path, NULL);
  close(lock);
}

// containerd.task.v2.DeleteResponse {1 pid, 2 exit_status, 3 exited_at Timestamp {1 seconds, 2 nanos}}
static void respond(pid_t pid) {
  enum { killed = 128 + 9 };
  uint8_t message[64], timestamp[24];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  uint8_t *end = putVarint(timestamp, 1 << 3);
  end = putVarint(end, (uint64_t)now.tv_sec);
  end = putVarint(end, 2 << 3);
  end = putVarint(end, (uint64_t)now.tv_nsec);
  uint8_t *out = message;
  if (pid > 0) {
    out = putVarint(out, 1 << 3);
    out = putVarint(out, (uint64_t)pid);
  }
  out = putVarint(out, 2 << 3);
  out = putVarint(out, killed);
  out = putField(out, 3, timestamp, (size_t)(end - timestamp));
  if (!writeAll(STDOUT_FILENO, message, (size_t)(out - message))) fail(errno, "stdout", NULL);
}

// True when the bundle is the working directory now, by its real path.
static bool enterBundle(const char *given, char *bundle, size_t size) {
  if (given[0] != 0 && chdir(given) != 0) {
    if (errno != ENOENT) warn(errno, given, NULL);
    return false;
  }
  return getcwd(bundle, size) != NULL;
}

void delete (const Options *options) {
  static State state;
  char bundle[maxPath];
  if (enterBundle(options->bundle, bundle, sizeof bundle)) {
    readState(&state);
    clearContainer(&state, bundle);
    runHooks(&state, options, bundle);
    if (state.socket != NULL) removeDeadSocket(state.socket);
    // A second delete has nothing left to do; above all no hook runs twice.
    if (unlink("tandem.state") != 0 && errno != ENOENT) warn(errno, "unlink tandem.state", NULL);
  }
  respond(state.pid);
}
