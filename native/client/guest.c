#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client.h"

static void sendSignal(int pidfd, int signal) {
  // It may have ended meanwhile; its status is on its way then.
  syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

// The guest stops with us, wherever it is, and goes on with us.
static void stop(int pidfd) {
  sendSignal(pidfd, SIGSTOP);
  kill(getpid(), SIGSTOP);
  sendSignal(pidfd, SIGCONT);
}

static void takeSignals(int signals, int pidfd) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    const int signal = (int)info.ssi_signo;
    if (signal == SIGTSTP)
      stop(pidfd);
    else
      sendSignal(pidfd, signal);
  }
}

static int watchSignals(void) {
  // Those of which a wasm process ends (native/addon/process.cc), or that it handles; we have our own way
  // with all others, and when we end, the server ends it.
  const int forwarded[] = {SIGHUP,  SIGINT,  SIGQUIT,   SIGTERM, SIGUSR1,
                           SIGUSR2, SIGALRM, SIGVTALRM, SIGXCPU, SIGTSTP};
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
    struct sigaction action;
    // Whoever ignores a signal, nohup for example, has us and our children ignore it.
    if (sigaction(forwarded[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN) continue;
    sigaddset(&set, forwarded[i]);
  }
  sigprocmask(SIG_BLOCK, &set, NULL);
  const int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) fail(errno, "signalfd", NULL);
  return signals;
}

// The end of what it says is not the end of the process: a guest that has taken it over may have closed the
// pipe.
static void outlive(int pidfd) {
  sendSignal(pidfd, SIGKILL);
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) continue;
}

_Noreturn void followGuest(int server, const Message *message) {
  if (message->fdCount != 2) fail(0, "server: truncated message", NULL);
  const int pidfd = message->fds[0], go = message->fds[1];
  const int signals = watchSignals();
  if (!writeAll(go, "1", 1) && errno != EPIPE) fail(errno, "guest", NULL);
  close(go);
  struct pollfd watched[2] = {{.fd = server, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
  // A pong to what was asked before the guest began is no end: who waited for the next message would be deaf
  // to signals.
  do {
    watched[0].revents = watched[1].revents = 0;
    if (poll(watched, 2, -1) < 0 && errno != EINTR) fail(errno, "poll", NULL);
    if (watched[1].revents != 0) takeSignals(signals, pidfd);
  } while (watched[0].revents == 0 || takePong(server));
  Message last;
  const bool heard = hear(server, &last);
  outlive(pidfd);
  if (!heard || last.data[0] != doExit || last.length < 2)
    fail(0, "the server ended; see zygote.log below ", runDirectory(), NULL);
  _exit((unsigned char)last.data[1]);
}
