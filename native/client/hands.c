#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { maxInput = 16 << 20 };

static const char truncated[] = "server: truncated message";

static uint32_t number(const char **at, const char *end) {
  uint32_t value = 0;
  if ((size_t)(end - *at) < sizeof value) fail(0, truncated, NULL);
  memcpy(&value, *at, sizeof value);
  *at += sizeof value;
  return value;
}

// A descriptor that our caller gave us to pass on; all of ours are O_CLOEXEC.
static void checkPreserved(unsigned count) {
  char digits[21];
  for (unsigned fd = 3; fd < 3 + count; fd++) {
    const int flags = fcntl((int)fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0)
      fail(0, "--preserve-fds: descriptor ", decimal(digits, fd), " is not open", NULL);
  }
}

// What the server says about a child beside InitSpawn.
typedef struct {
  bool wait;
  // The child is born with it; otherwise with ours.
  bool hasOomScore;
  int oomScore;
} Extra;

// u32 namespaces, preserved, whether our stdio is the container's, whether there is a cgroup directory,
// whether we wait, whether it has an OOM score and which, count of joins and their types, count of cgroup
// files and their names; descriptors: executable, socket, [cgroup directory], joins.
static void decode(const Message *message, struct InitSpawn *spawn, Extra *extra) {
  const char *at = message->data + 1, *end = message->data + message->length;
  size_t fd = 2;
  spawn->newNamespaces = number(&at, end);
  spawn->preserved = number(&at, end);
  const bool ownStdio = number(&at, end) != 0;
  const bool hasCgroup = number(&at, end) != 0;
  extra->wait = number(&at, end) != 0;
  extra->hasOomScore = number(&at, end) != 0;
  extra->oomScore = (int)number(&at, end);
  spawn->joinCount = number(&at, end);
  const size_t wanted = 2 + (hasCgroup ? 1 : 0) + spawn->joinCount;
  if (spawn->joinCount > maxJoins || message->fdCount != wanted) fail(0, truncated, NULL);
  spawn->executable = message->fds[0];
  spawn->socket = message->fds[1];
  spawn->cgroupDirectory = hasCgroup ? message->fds[fd++] : -1;
  for (size_t i = 0; i < spawn->joinCount; i++)
    spawn->joins[i] = (struct Join){message->fds[fd++], (int)number(&at, end)};
  spawn->cgroupFileCount = number(&at, end);
  if (spawn->cgroupFileCount > maxCgroupFiles) fail(0, truncated, NULL);
  for (size_t i = 0; i < spawn->cgroupFileCount; i++) {
    if (at >= end) fail(0, truncated, NULL);
    spawn->cgroupFiles[i] = at;
    at += strlen(at) + 1;
  }
  // With a terminal the program's streams come later; until then it has none.
  const int null = ownStdio ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);
  if (!ownStdio && null < 0) fail(errno, "/dev/null", NULL);
  for (int i = 0; i < 3; i++) spawn->stdio[i] = ownStdio ? i : null;
}

static void waitAndTell(int server, pid_t child, int master) {
  const uint32_t status = (uint32_t)waitFor(child, master);
  say(server, sayExited, &status, sizeof status, -1);
}

static void sayFailed(int server, int error, const char *call) {
  char text[128];
  const uint32_t number = (uint32_t)error;
  memcpy(text, &number, sizeof number);
  const size_t length = strnlen(call, sizeof text - sizeof number);
  memcpy(text + sizeof number, call, length);
  say(server, saySpawnFailed, text, sizeof number + length, -1);
}

static void sayMade(int server, pid_t pid, int pidfd) {
  const uint32_t number = (uint32_t)pid;
  say(server, saySpawned, &number, sizeof number, pidfd);
  close(pidfd);
}

static bool writeOomScore(int score) {
  char digits[21], line[32];
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0 ||
      !concat(line, sizeof line, score < 0 ? "-" : "", decimal(digits, (uint64_t)labs(score)), NULL))
    return false;
  const bool written = writeAll(fd, line, strlen(line));
  const int error = errno;
  close(fd);
  errno = error;
  return written;
}

// spawnInit, with a score for the child: it inherits ours, which we then take back.
static bool spawnWithScore(struct InitSpawn *spawn, const Extra *extra) {
  Bytes before;
  if (!extra->hasOomScore) return spawnInit(spawn);
  if (!readFile("/proc/self/oom_score_adj", 64, &before) || !writeOomScore(extra->oomScore)) {
    spawn->failedCall = "process.oomScoreAdj";
    spawn->failedErrno = errno;
    return false;
  }
  const bool made = spawnInit(spawn);
  writeOomScore(atoi(before.data));
  return made;
}

static void makeChild(int server, const Message *message) {
  struct InitSpawn spawn = {0};
  Extra extra = {0};
  decode(message, &spawn, &extra);
  checkPreserved(spawn.preserved);
  const bool made = spawnWithScore(&spawn, &extra);
  if (made)
    sayMade(server, spawn.pid, spawn.pidfd);
  else
    sayFailed(server, spawn.failedErrno, spawn.failedCall);
  if (spawn.stdio[0] > 2) close(spawn.stdio[0]);
  for (size_t i = 0; i < message->fdCount; i++) close(message->fds[i]);
  if (made && extra.wait) waitAndTell(server, spawn.pid, -1);
}

static void makeProgram(int server, const Message *message) {
  pid_t pid = -1;
  int pidfd = -1;
  const int error = executeProgram(message, &pid, &pidfd);
  if (error == 0)
    sayMade(server, pid, pidfd);
  else
    sayFailed(server, error, message->data + 1);
}

static void waitForOne(int server, const Message *message) {
  const char *at = message->data + 1;
  const uint32_t pid = number(&at, message->data + message->length);
  waitAndTell(server, (pid_t)pid, message->fdCount > 0 ? message->fds[0] : -1);
}

// Our stdin, or a file that is named as we see it: one of our descriptors, for example.
static void sendInput(int server, const char *path) {
  Bytes input;
  const int fd = path[0] == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || !readAll(fd, maxInput, &input)) {
    const uint32_t error = (uint32_t)errno;
    say(server, sayInput, &error, sizeof error, -1);
    return;
  }
  if (fd != STDIN_FILENO) close(fd);
  const int memfd = memfdOf(&input);
  say(server, sayInput, NULL, 0, memfd);
  close(memfd);
}

// What failed and was ended: a zombie of ours would keep the container's pid namespace until somebody else
// reaps it. What succeeded is our caller's to reap, who wants its status, however soon it ended.
_Noreturn static void end(const Message *message) {
  const int status = message->length > 1 ? (unsigned char)message->data[1] : 1;
  while (status != 0 && waitpid(-1, NULL, WNOHANG) > 0) continue;
  _exit(status);
}

bool beHands(int server, const Message *message) {
  switch (message->data[0]) {
    case doExit:
      end(message);
    case doSpawn:
      makeChild(server, message);
      return true;
    case doProgram:
      makeProgram(server, message);
      return true;
    case doWait:
      waitForOne(server, message);
      return true;
    case doInput:
      sendInput(server, message->data + 1);
      return true;
    default:
      return false;
  }
}
