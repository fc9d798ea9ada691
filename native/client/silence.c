#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

enum { patienceSeconds = 10 };

static char pidFile[maxPath];

void limitSilence(int server, const char *directory) {
  if (!concat(pidFile, sizeof pidFile, directory, "/oci.pid", NULL)) fail(ENAMETOOLONG, directory, NULL);
  // recvmsg then ends with EAGAIN now and then: no call more where the server answers.
  const struct timeval patience = {.tv_sec = patienceSeconds};
  setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

// As readFile, but that it leaves nothing behind: a call may go on for days.
static bool readShort(const char *path, char *text, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  const ssize_t length = read(fd, text, size - 1);
  close(fd);
  text[length < 0 ? 0 : length] = 0;
  return length > 0;
}

// The number that the server left beside its socket, unless the process is another by now. proc_pid_stat(5):
// "pid (name) state …". False when there is none.
static bool findServer(char pid[21], char *state) {
  static const char name[] = " (tandem-oci) ";
  char path[64], text[256];
  if (!readShort(pidFile, text, sizeof text)) return false;
  decimal(pid, strtoul(text, NULL, 10));
  if (!concat(path, sizeof path, "/proc/", pid, "/stat", NULL) || !readShort(path, text, sizeof text))
    return false;
  const char *found = strstr(text, name);
  if (found == NULL) return false;
  *state = found[strlen(name)];
  return true;
}

void explainSilence(int server) {
  static bool told;
  char pid[21];
  char state[2] = "";
  int unread = 0;
  if (told) return;
  const bool found = findServer(pid, state);
  // A call can take its time: what it was, the server has read, and it is not stopped or stuck in the kernel.
  const bool isDeaf = ioctl(server, SIOCOUTQ, &unread) == 0 && unread > 0;
  if (!isDeaf && (state[0] == 0 || strchr("TtD", state[0]) == NULL)) return;
  told = true;
  if (found)
    warn(0, "still waiting for the server, pid ", pid, " in state ", state, "; see docs/debugging.md", NULL);
  else
    warn(0, "still waiting for the server; see docs/debugging.md", NULL);
}
