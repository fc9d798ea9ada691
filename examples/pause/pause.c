// Holds a pod's namespaces open: waits to be told to stop, and reaps what is left to it as pid 1.
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

int main(void) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  // Blocked and waited for instead of handled: pid 1 is only sent signals that it asks for.
  sigprocmask(SIG_BLOCK, &signals, NULL);
  for (;;) {
    int received = 0;
    if (sigwait(&signals, &received) != 0) return 1;
    if (received != SIGCHLD) return 0;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
  }
}
