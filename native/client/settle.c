// What every program of the command line does before it asks anybody anything.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client.h"

// A caller may have closed any of the three; the next descriptor that we open would take the place, and
// become the container's.
static void openStdio(void) {
  int fd = 0;
  do {
    fd = open("/dev/null", O_RDWR);
    if (fd < 0) fail(errno, "/dev/null", NULL);
  } while (fd <= STDERR_FILENO);
  close(fd);
}

// Buildah has a mount namespace for each step of a build: a zygote in one is not worth much preparation. The
// machine's own is that of kthreadd, which is easier to look at than process 1, or else that one's.
static bool isInPassingNamespace(void) {
  char own[64], machines[64];
  const ssize_t length = readlink("/proc/self/ns/mnt", own, sizeof own);
  Bytes name;
  const bool kernel = readFile("/proc/2/comm", 64, &name) && strcmp(name.data, "kthreadd\n") == 0;
  const ssize_t other = readlink(kernel ? "/proc/2/ns/mnt" : "/proc/1/ns/mnt", machines, sizeof machines);
  return length > 0 && other > 0 && (other != length || memcmp(own, machines, (size_t)length) != 0);
}

void settle(void) {
  zygoteLeavesCgroups = true;
  if (isInPassingNamespace()) zygoteRole = "zygote-for-oci";
  openStdio();
  // A reader of our output that went away is an error of one write.
  signal(SIGPIPE, SIG_IGN);
  chooseUserPlaces();
}
