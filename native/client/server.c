#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

// The zygote forks the server from the socket that we listen on: it is there for the next caller before the
// server is.
static void startServer(const char *directory, const char *path) {
  static const char fields[] = "\1\0\0\0\3\0\0\0oci";
  const Bytes request = {(char *)fields, sizeof fields - 1};
  for (int attempt = 0; attempt < 3; attempt++) {
    // We hold the lock and nobody answers there: whoever left it is dead.
    unlink(path);
    const int listener = listenAt(path, SOCK_SEQPACKET);
    const bool taken = askZygote(directory, listener, &request);
    close(listener);
    if (taken) {
      setUndo(NULL);
      return;
    }
  }
  fail(0, "zygote: ends before it answers; see zygote.log in ", directory, NULL);
}

int connectServer(char *directory) {
  char path[maxPath], lockPath[maxPath];
  zygoteDirectory(directory, maxPath);
  if (!concat(path, sizeof path, directory, "/oci.sock", NULL) ||
      !concat(lockPath, sizeof lockPath, directory, "/oci.lock", NULL))
    fail(ENAMETOOLONG, directory, NULL);
  int fd = connectSeqpacket(path);
  if (fd >= 0) return fd;
  const int lock = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) fail(errno, lockPath, NULL);
  while (flock(lock, LOCK_EX) != 0)
    if (errno != EINTR) fail(errno, "flock ", lockPath, NULL);
  // Whoever held the lock before us has probably started one.
  fd = connectSeqpacket(path);
  if (fd < 0) {
    startServer(directory, path);
    fd = connectSeqpacket(path);
  }
  if (fd < 0) fail(errno, "connect ", path, NULL);
  close(lock);
  return fd;
}
