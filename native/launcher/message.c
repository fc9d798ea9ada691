// Messages on sockets that keep their bounds, as the zygote and the OCI server take them.
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher.h"

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

int memfdOf(const Bytes *bytes) {
  const int fd = memfd_create("tandem-request", MFD_CLOEXEC);
  if (fd < 0) fail(errno, "memfd_create", NULL);
  if (!writeAll(fd, bytes->data, bytes->length) || lseek(fd, 0, SEEK_SET) != 0) fail(errno, "memfd", NULL);
  return fd;
}

bool sendMessage(int connection, const char *peer, const struct iovec *parts, size_t partCount,
                 const int *fds, size_t fdCount) {
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(maxSentDescriptors * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct msghdr header = {.msg_iov = (struct iovec *)parts, .msg_iovlen = partCount};
  if (fdCount > 0) {
    header.msg_control = &control;
    header.msg_controllen = CMSG_SPACE(fdCount * sizeof(int));
    struct cmsghdr *item = CMSG_FIRSTHDR(&header);
    *item = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fdCount * sizeof(int))};
    memcpy(CMSG_DATA(item), fds, fdCount * sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(connection, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (errno == EPIPE || errno == ECONNRESET) return false;
  fail(errno, peer, ": sendmsg", NULL);
}
