// Starts Node: the zygote, by way of a monitor, or a cold shim. Nothing of containerd's may stay with it:
// containerd waits until the last holder of the launcher's stdout has closed it.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher.h"

enum { maxArguments = 64, maxVariables = 64 };

extern char **environ;

bool zygoteLeavesCgroups = false;
const char *zygoteRole = "zygote";

// What Node may see of containerd's environment; NODE_OPTIONS, LD_*, NOTIFY_SOCKET and the like would reach
// every container.
static bool isKept(const char *variable) {
  static const char *const names[] = {
      "PATH=", "HOME=", "TMPDIR=", "TZ=", "LANG=", "TANDEM_", "SSL_CERT_", "XDG_RUNTIME_DIR="};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
  return false;
}

_Noreturn void execNode(const char *role, const char *argument, int errors) {
  static char node[maxPath], main[maxPath], preload[maxPath], options[maxPath];
  const char *lib = libDirectory();
  char *arguments[maxArguments + 5], *variables[maxVariables + 2];
  size_t count = 0, kept = 0;
  if (!concat(node, sizeof node, lib, "/node", NULL) || !concat(main, sizeof main, lib, "/main.mjs", NULL) ||
      !concat(preload, sizeof preload, "LD_PRELOAD=", lib, "/tandem-dofork.so", NULL) ||
      !concat(options, sizeof options, lib, "/zygote.args", NULL))
    _exit(1);
  arguments[count++] = node;
  // Node's and V8's options, one a line; '#' begins a comment. Children inherit what they mean, so they stand
  // in one place.
  Bytes lines;
  if (readFile(options, 64 * 1024, &lines)) {
    for (char *line = strtok(lines.data, "\n"); line != NULL && count < maxArguments;
         line = strtok(NULL, "\n"))
      if (line[0] == '-') arguments[count++] = line;
  }
  arguments[count++] = main;
  arguments[count++] = (char *)role;
  if (argument != NULL) arguments[count++] = (char *)argument;
  arguments[count] = NULL;
  for (char **variable = environ; *variable != NULL && kept < maxVariables; variable++)
    if (isKept(*variable)) variables[kept++] = *variable;
  variables[kept++] = preload;
  variables[kept] = NULL;
  execve(node, arguments, variables);
  const char *reason = strerror(errno);
  char message[maxPath + 256];
  if (concat(message, sizeof message, "exec ", node, ": ", reason, NULL))
    writeAll(errors, message, strlen(message));
  _exit(1);
}

// stdin from nowhere, stdout and stderr into the log, no way back to containerd.
static void detach(const char *log) {
  setsid();
  if (chdir("/") != 0) _exit(1);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (nothing < 0 || out < 0) _exit(1);
  if (dup2(nothing, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
    _exit(1);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

void raiseOomScore(void) {
  static const char path[] = "/proc/self/oom_score_adj";
  Bytes text;
  if (!readFile(path, 64, &text)) return;
  const long score = strtol(text.data, NULL, 10);
  if (score >= 1000) return;
  char digits[21], line[32];
  const long next = score + 1;
  if (!concat(line, sizeof line, next < 0 ? "-" : "", decimal(digits, (uint64_t)labs(next)), NULL)) return;
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (!writeAll(fd, line, strlen(line))) warn(errno, path, NULL);
  close(fd);
}

// Moves up to two descriptors to 3 and 4 and closes all others above stderr.
static void keepOnly(int first, int second) {
  // Out of the way first: one may stand in the other's place.
  const int high = fcntl(first, F_DUPFD_CLOEXEC, 10);
  const int higher = second < 0 ? -1 : fcntl(second, F_DUPFD_CLOEXEC, 10);
  if (high < 0 || dup2(high, 3) < 0) _exit(1);
  if (higher >= 0 && dup2(higher, 4) < 0) _exit(1);
  close_range(higher >= 0 ? 5 : 4, ~0U, 0);
}

static void waitForMonitor(int report, pid_t child) {
  Bytes text;
  const bool read = readAll(report, 64 * 1024, &text);
  close(report);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (status != 0) fail(0, "zygote: ", read && text.length > 0 ? text.data : "its monitor failed", NULL);
}

typedef struct {
  char lock[maxPath], socket[maxPath], log[maxPath];
} Places;

static Places placesIn(const char *directory) {
  Places places;
  if (!concat(places.lock, sizeof places.lock, directory, "/zygote.lock", NULL) ||
      !concat(places.socket, sizeof places.socket, directory, "/zygote.sock", NULL) ||
      !concat(places.log, sizeof places.log, directory, "/zygote.log", NULL))
    fail(ENAMETOOLONG, directory, NULL);
  return places;
}

static int lockZygote(const Places *places, int flags) {
  const int lock = open(places->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) fail(errno, places->lock, NULL);
  while (flock(lock, LOCK_EX | flags) != 0) {
    if (errno == EWOULDBLOCK) return close(lock), -1;
    if (errno != EINTR) fail(errno, "flock ", places->lock, NULL);
  }
  return lock;
}

static void startUnder(int lock, const char *directory, const Places *places) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe2", NULL);
  const pid_t child = fork();
  if (child < 0) fail(errno, "fork", NULL);
  if (child == 0) {
    detach(places->log);
    keepOnly(ends[1], lock);
    monitor(directory, places->log);
  }
  close(ends[1]);
  close(lock);
  waitForMonitor(ends[0], child);
}

void startZygote(const char *directory) {
  const Places places = placesIn(directory);
  const int lock = lockZygote(&places, 0);
  // Whoever held the lock before us has probably started one.
  const int alive = connectSeqpacket(places.socket);
  if (alive < 0) return startUnder(lock, directory, &places);
  close(alive);
  close(lock);
}

void replaceZygote(const char *directory) {
  const Places places = placesIn(directory);
  const int lock = lockZygote(&places, LOCK_NB);
  if (lock < 0) return;
  const pid_t present = listenerOf(places.socket);
  if (present == 0 || hasLastingParent(present))
    close(lock);
  else
    startUnder(lock, directory, &places);
}

void startColdShim(int listener, const Bytes *request) {
  char log[maxPath];
  if (!concat(log, sizeof log, runDirectory(), "/cold.log", NULL)) fail(ENAMETOOLONG, runDirectory(), NULL);
  const int fields = memfdOf(request);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(errno, "pipe2", NULL);
  const pid_t child = fork();
  if (child < 0) fail(errno, "fork", NULL);
  if (child == 0) {
    detach(log);
    if (fork() != 0) _exit(0);
    raiseOomScore();
    // The pipe closes by itself when node takes over; a reason in it means that it did not.
    const int errors = fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
    const int high = fcntl(listener, F_DUPFD_CLOEXEC, 100), higher = fcntl(fields, F_DUPFD_CLOEXEC, 100);
    if (errors < 0 || dup2(high, 3) < 0 || dup2(higher, 4) < 0 || dup3(errors, 5, O_CLOEXEC) < 0) _exit(1);
    close_range(6, ~0U, 0);
    execNode("shim", NULL, 5);
  }
  close(ends[1]);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  Bytes reason;
  if (readAll(ends[0], 64 * 1024, &reason) && reason.length > 0) fail(0, reason.data, NULL);
  close(ends[0]);
  close(fields);
  close(listener);
}
