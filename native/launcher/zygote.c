// The launcher's side of the zygote's socket. The protocol is drawn in src/zygote/request.ts.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher.h"

enum { maxMessage = 200 * 1024, replyTimeoutMs = 30 * 1000, dyingMs = 500 };

int connectSeqpacket(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!concat(address.sun_path, sizeof address.sun_path, path, NULL)) return errno = ENAMETOOLONG, -1;
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

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

int memfdOf(const Bytes *bytes) {
  const int fd = memfd_create("tandem-request", MFD_CLOEXEC);
  if (fd < 0) fail(errno, "memfd_create", NULL);
  if (!writeAll(fd, bytes->data, bytes->length) || lseek(fd, 0, SEEK_SET) != 0) fail(errno, "memfd", NULL);
  return fd;
}

static bool sendWith(int connection, const Bytes *message, const int *fds, size_t count) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {message->data, message->length};
  struct msghdr header = {.msg_iov = &part,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = CMSG_SPACE(count * sizeof(int))};
  struct cmsghdr *item = CMSG_FIRSTHDR(&header);
  *item = (struct cmsghdr){
      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(count * sizeof(int))};
  memcpy(CMSG_DATA(item), fds, count * sizeof(int));
  ssize_t sent = 0;
  do {
    sent = sendmsg(connection, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (errno == EPIPE || errno == ECONNRESET) return false;
  fail(errno, "zygote: sendmsg", NULL);
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
    sent = sendWith(connection, request, &listener, 1);
  } else {
    // Too much for one message: the fields travel in a memfd, the last descriptor.
    static const char kind[] = "\1\0\0\0\5\0\0\0shim@";
    const Bytes message = {(char *)kind, sizeof kind - 1};
    const int fds[2] = {listener, memfdOf(request)};
    sent = sendWith(connection, &message, fds, 2);
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
