// The start of a zygote, seen through by a process that outlives the launcher:
//
//   launcher ── fork ─▶ monitor ── fork ─▶ node … main.mjs zygote <directory>
//       ◀── pipe: "" or a reason ──┘ ends when the zygote answers or is dead
//
// The monitor holds the lock under which a zygote is started, so that a launcher that is killed does not let
// a second zygote in.
//
// Before it answers, a zygote plays containers (src/zygote/rehearsal). One that is killed at it, or is not
// done in time, cannot take them down: the monitor does, and starts a zygote that plays none.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher.h"

// A rehearsal takes a second; on a machine that has no time for it now, starting without one is the better
// start.
enum { rehearsalMs = 30 * 1000, startMs = 60 * 1000, dyingMs = 5 * 1000, logTail = 1024, report = 3 };

static void tell(const char *reason) {
  writeAll(report, reason, strlen(reason));
}

static void tellLogTail(const char *log) {
  char tail[logTail];
  const int fd = open(log, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const off_t size = lseek(fd, 0, SEEK_END);
  const ssize_t length =
      pread(fd, tail, sizeof tail, size > (off_t)sizeof tail ? size - (off_t)sizeof tail : 0);
  if (length > 0) writeAll(report, tail, (size_t)length);
  close(fd);
}

pid_t listenerOf(const char *path) {
  const int connection = connectSeqpacket(path);
  if (connection < 0) return 0;
  struct ucred peer = {0};
  socklen_t length = sizeof peer;
  const int known = getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  close(connection);
  return known == 0 ? peer.pid : 0;
}

static void clearRehearsal(const char *directory) {
  State state;
  char bundle[maxPath];
  if (!concat(bundle, sizeof bundle, directory, "/rehearsal/bundle", NULL)) return;
  if (chdir(bundle) != 0) {
    if (errno != ENOENT) warn(errno, bundle, NULL);
    return;
  }
  readState(&state);
  clearContainer(&state, bundle);
  if (unlink("tandem.state") != 0 && errno != ENOENT) warn(errno, "unlink tandem.state", NULL);
  if (chdir("/") != 0) warn(errno, "chdir /", NULL);
}

static pid_t startNode(const char *role, const char *directory) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    close_range(3, ~0U, 0);
    raiseOomScore();
    if (zygoteLeavesCgroups) leaveCgroups();
    execNode(role, directory, STDERR_FILENO);
  }
  if (child < 0) {
    tell("fork failed");
    _exit(1);
  }
  return child;
}

typedef enum { answering, ended, late } Outcome;

// One that is late is killed; what it leaves behind can be taken down once it is gone.
static Outcome awaitAnswer(const char *path, pid_t child, uint64_t limitMs, int *status) {
  const uint64_t limit = monotonicMilliseconds() + limitMs;
  while (monotonicMilliseconds() <= limit) {
    // Not the one that is being replaced.
    if (listenerOf(path) == child) return answering;
    if (waitpid(child, status, WNOHANG) == child) return ended;
    sleepMilliseconds(3);
  }
  kill(child, SIGKILL);
  const uint64_t dead = monotonicMilliseconds() + dyingMs;
  while (waitpid(child, status, WNOHANG) == 0 && monotonicMilliseconds() <= dead) sleepMilliseconds(3);
  return late;
}

// A second zygote, when the first went while it may have been rehearsing. Whoever ended by itself has its
// reasons, and would have them again.
static Outcome startUnrehearsed(const char *directory, const char *path, Outcome first, int *status) {
  char number[21];
  if (first == late)
    warn(0, "zygote: not ready after 30 s, started again without a rehearsal: starts will be slow", NULL);
  else
    warn(0, "zygote: killed by signal ", decimal(number, (uint64_t)WTERMSIG(*status)),
         " before it was ready, started again without a rehearsal: starts will be slow", NULL);
  return awaitAnswer(path, startNode("zygote-unrehearsed", directory), startMs, status);
}

void monitor(const char *directory, const char *log) {
  char path[maxPath];
  if (!concat(path, sizeof path, directory, "/zygote.sock", NULL)) _exit(1);
  // Of a zygote whose monitor was killed, too.
  clearRehearsal(directory);
  const bool rehearses = strcmp(zygoteRole, "zygote") == 0;
  int status = 0;
  Outcome outcome =
      awaitAnswer(path, startNode(zygoteRole, directory), rehearses ? rehearsalMs : startMs, &status);
  if (outcome != answering) clearRehearsal(directory);
  if (rehearses && (outcome == late || (outcome == ended && WIFSIGNALED(status))))
    outcome = startUnrehearsed(directory, path, outcome, &status);
  if (outcome == answering) _exit(0);
  tell(outcome == late ? "did not answer in 60 s; it ended: " : "it ended: ");
  tellLogTail(log);
  _exit(1);
}
