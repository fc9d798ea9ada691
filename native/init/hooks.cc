#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// The state as the hook's stdin: a file, so that a hook that never reads it blocks nobody.
int stateFile(const char* state) {
  UniqueFd file(must(memfd_create("state", MFD_CLOEXEC), "memfd_create", "state"));
  const size_t length = strlen(state);
  must(pwrite(file.get(), state, length, 0), "write", "state");
  return file.release();
}

[[noreturn]] void becomeHook(const char* path, char** args, char** env, int state) {
  dup2(state, 0);
  // stdout is the container's, and a hook has no business there.
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null >= 0) dup2(null, 1);
  // What the caller preserves is for the program.
  syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(path, args, env);
  _exit(127);
}

}  // namespace

void runHook(Fields& step) {
  const char* path = step.text();
  char** args = step.list();
  char** env = step.list();
  const uint32_t timeoutMs = step.u32();
  UniqueFd state(stateFile(step.text()));
  const pid_t pid = must(fork(), "fork", path);
  if (pid == 0) becomeHook(path, args, env, state.get());
  if (timeoutMs != 0) {
    UniqueFd process(must(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), "pidfd_open", path));
    pollfd ended{process.get(), POLLIN, 0};
    if (poll(&ended, 1, static_cast<int>(timeoutMs)) == 0) {
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
      failBecause("hook took longer than its timeout", path, ETIMEDOUT);
    }
  }
  int status = 0;
  must(waitpid(pid, &status, 0), "waitpid", path);
  if (status == 0) return;
  failBecause(WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "hook cannot be executed" : "hook failed",
              path, ECANCELED);
}

}  // namespace tandem
