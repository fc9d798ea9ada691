// The launcher's side of the zygote's socket. The protocol is drawn in src/zygote/request.ts.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher.h"

enum { maxMessage = 200 * 1024, replyTimeoutMs = 30 * 1000, dyingMs = 500 };

int connectZygote(const char *directory) {
  char path[maxPath];
  if (!concat(path, sizeof path, directory, "/zygote.sock", NULL)) fail(ENAMETOOLONG, directory, NULL);
  int fd = connectSeqpacket(path);
  if (fd < 0 && (errno == ENOENT || errno == ECONNREFUSED)) {
    startZygote(directory);
    fd = connectSeqpacket(path);
  }
  if (fd < 0) fail(errno, "connect ", path, NULL);
  return fd;
}

// Returns the length of the reply, 0 when there is nobody left to send one. The pidfd that comes with it is
// for other callers: recv(2) without room for descriptors drops it.
static size_t receiveReply(int connection, char *reply, size_t size) {
  struct pollfd waiting = {.fd = connection, .events = POLLIN};
  int ready = 0;
  do {
    ready = poll(&waiting, 1, replyTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) fail(ETIMEDOUT, "zygote: no answer", NULL);
  const ssize_t length = recv(connection, reply, size - 1, 0);
  if (length < 0 && errno != ECONNRESET) fail(errno, "zygote: recv", NULL);
  if (length <= 0) return 0;
  reply[length] = 0;
  return (size_t)length;
}

// A dying process lets go of its sockets one after the other: the connection may be gone while the listener
// still takes new ones that nobody will serve. Waits until it refuses, or it is clear that the zygote lives
// and only closed this connection.
static void waitForEnd(const char *directory) {
  char path[maxPath];
  if (!concat(path, sizeof path, directory, "/zygote.sock", NULL)) return;
  const uint64_t deadline = monotonicMilliseconds() + dyingMs;
  for (int fd = connectSeqpacket(path); fd >= 0 && monotonicMilliseconds() < deadline;
       fd = connectSeqpacket(path)) {
    close(fd);
    sleepMilliseconds(2);
  }
}

bool askZygote(const char *directory, int listener, const Bytes *request) {
  const int connection = connectZygote(directory);
  bool sent = false;
  if (request->length <= maxMessage) {
    const struct iovec all = {request->data, request->length};
    sent = sendMessage(connection, "zygote", &all, 1, &listener, 1);
  } else {
    // Too much for one message: the fields travel in a memfd, the last descriptor.
    static const char kind[] = "\1\0\0\0\5\0\0\0shim@";
    const struct iovec message = {(char *)kind, sizeof kind - 1};
    const int fds[2] = {listener, memfdOf(request)};
    sent = sendMessage(connection, "zygote", &message, 1, fds, 2);
    close(fds[1]);
  }
  char reply[1024];
  const size_t length = sent ? receiveReply(connection, reply, sizeof reply) : 0;
  close(connection);
  if (length == 0) {
    waitForEnd(directory);
    return false;
  }
  if (reply[0] != 0) fail(0, "zygote: ", reply + 1, NULL);
  return true;
}

void zygote(void) {
  char directory[maxPath], path[maxPath];
  zygoteDirectory(directory, sizeof directory);
  close(connectZygote(directory));
  if (!concat(path, sizeof path, directory, "/zygote.sock\n", NULL)) fail(ENAMETOOLONG, directory, NULL);
  if (!writeAll(STDOUT_FILENO, path, strlen(path))) fail(errno, "stdout", NULL);
}
