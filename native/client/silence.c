#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "client.h"

// To hear anything at all, and to hear the answer to whether it is there.
enum { patienceSeconds = 10, answerSeconds = 3 };

static char pidFile[maxPath];
static bool asked, told;

// recvmsg then ends with EAGAIN now and then: no call more where the server answers.
static void limitTo(int server, int seconds) {
  const struct timeval patience = {.tv_sec = seconds};
  setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

void limitSilence(int server, const char *directory) {
  if (!concat(pidFile, sizeof pidFile, directory, "/oci.pid", NULL)) fail(ENAMETOOLONG, directory, NULL);
  limitTo(server, patienceSeconds);
  asked = false;
}

// What the server left beside its socket, "pid start-time", unless the process is another by now.
static bool findServer(char pid[21], char *state) {
  Bytes text;
  ProcessStat stat;
  char *end = NULL;
  if (!readFile(pidFile, 64, &text)) return false;
  const unsigned long number = strtoul(text.data, &end, 10);
  if (!readStat((pid_t)number, &stat) || stat.startTime != strtoull(end, NULL, 10)) return false;
  decimal(pid, number);
  *state = stat.state;
  return true;
}

static void tell(void) {
  char pid[21];
  char state[2] = "";
  told = true;
  if (findServer(pid, state))
    warn(0, "still waiting for the server, pid ", pid, " in state ", state, "; see docs/debugging.md", NULL);
  else
    warn(0, "still waiting for the server; see docs/debugging.md", NULL);
}

void explainSilence(int server) {
  int unread = 0;
  if (told) return;
  // A call can take its time; but a server that is well reads what comes, and answers this between two steps
  // of whatever it does.
  if (asked || (ioctl(server, SIOCOUTQ, &unread) == 0 && unread > 0)) return tell();
  asked = say(server, sayPing, NULL, 0, -1);
  limitTo(server, answerSeconds);
}

bool hasAsked(void) {
  return asked;
}

void noteSign(int server) {
  asked = false;
  limitTo(server, patienceSeconds);
}
