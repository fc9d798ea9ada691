#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "client.h"

static struct termios before;
static bool changed;

static void restoreTerminal(void) {
  if (changed) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
  changed = false;
}

// Keys are the container's: echo, line editing and signals are its terminal's affair.
static void makeRaw(void) {
  if (tcgetattr(STDIN_FILENO, &before) != 0) return;
  struct termios raw = before;
  cfmakeraw(&raw);
  // Carriage returns are for this terminal to put in: container-init leaves them out of what it relays.
  raw.c_oflag |= OPOST;
  changed = tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

static void copySize(int master) {
  struct winsize size;
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) ioctl(master, TIOCSWINSZ, &size);
}

// False at the end of what can be read.
static bool copy(int from, int to) {
  char buffer[4096];
  const ssize_t length = read(from, buffer, sizeof buffer);
  if (length < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  return length > 0 && writeAll(to, buffer, (size_t)length);
}

static bool reap(pid_t pid, int *code) {
  int status = 0;
  if (waitpid(pid, &status, WNOHANG) != pid) return false;
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return true;
}

// Returns true when the process has ended.
static bool takeSignals(int signals, pid_t pid, int master, int *code) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    const int signal = (int)info.ssi_signo;
    if (signal == SIGCHLD) {
      if (reap(pid, code)) return true;
    } else if (signal == SIGWINCH) {
      if (master >= 0) copySize(master);
    } else {
      kill(pid, signal);
    }
  }
  return false;
}

// What the program wrote before it ended is still in the terminal.
static void drain(int master) {
  struct pollfd rest = {.fd = master, .events = POLLIN};
  while (poll(&rest, 1, 0) > 0 && (rest.revents & POLLIN) != 0 && copy(master, STDOUT_FILENO)) continue;
}

int waitFor(pid_t pid, int master) {
  sigset_t all;
  int code = 0;
  sigfillset(&all);
  // The faults that are our own keep their way of ending us.
  const int ours[] = {SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,  SIGABRT, SIGTRAP,
                      SIGSYS,  SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) sigdelset(&all, ours[i]);
  sigprocmask(SIG_BLOCK, &all, NULL);
  const int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail(errno, "signalfd", NULL);
  int slave = -1;
  if (master >= 0) {
    // One slave is ours: a master cannot be read while nobody has one, and an init opens its console only for
    // as long as it writes (tty_ioctl(4); before Linux 4.13 there is no way to have it).
    slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    copySize(master);
    makeRaw();
  }
  struct pollfd watched[3] = {{.fd = signals, .events = POLLIN},
                              {.fd = master, .events = POLLIN},
                              {.fd = master < 0 ? -1 : STDIN_FILENO, .events = POLLIN}};
  // It may have ended before we began to listen for that.
  bool ended = reap(pid, &code);
  while (!ended) {
    if (poll(watched, 3, -1) < 0 && errno != EINTR) fail(errno, "poll", NULL);
    if (watched[0].revents != 0) ended = takeSignals(signals, pid, master, &code);
    if (watched[1].revents != 0 && !copy(master, STDOUT_FILENO)) watched[1].fd = -1;
    if (watched[2].revents != 0 && !copy(STDIN_FILENO, master)) watched[2].fd = -1;
  }
  if (master >= 0) {
    drain(master);
    if (slave >= 0) close(slave);
    close(master);
  }
  restoreTerminal();
  close(signals);
  return code;
}
