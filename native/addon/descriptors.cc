// Descriptors of a process that is to be walled in: a list of what stays, not of what goes.
#include "addon/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// What libuv and V8's platform opened before the fork, beside the main loop's own.
struct Runtime {
  bool known = false;
  // libuv's lock of signal handlers, the only pipe that blocks; each process makes its own at fork, under the
  // same numbers.
  std::vector<int> signalLock;
  // Wake-ups of loops of threads that a child does not have. They and their epoll sets are shared with the
  // zygote.
  std::vector<int> foreignWakeups;
} runtime;

std::string linkOf(int fd) {
  char target[64];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
  return std::string(target, length < 0 ? 0 : static_cast<size_t>(length));
}

bool isOf(const uv_loop_t* loop, int fd) {
  return fd == loop->backend_fd || fd == loop->async_io_watcher.fd || fd == loop->async_wfd ||
         fd == loop->signal_pipefd[0] || fd == loop->signal_pipefd[1];
}

Napi::Value noteDescriptors(const Napi::CallbackInfo& info) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  noteRuntime(loop);
  return info.Env().Undefined();
}

void closeRange(int first, unsigned last) {
  if (static_cast<unsigned>(first) <= last) checked(syscall(SYS_close_range, first, last, 0), "close_range");
}

}  // namespace

void noteRuntime(const uv_loop_t* loop) {
  if (runtime.known) return;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir("/proc/self/fd"), closedir);
  if (!directory) throw ErrnoError(errno, "opendir", "/proc/self/fd");
  while (const dirent* entry = readdir(directory.get())) {
    const int fd = atoi(entry->d_name);
    if (fd <= 2 || fd == dirfd(directory.get()) || isOf(loop, fd)) continue;
    const std::string target = linkOf(fd);
    if (target == "anon_inode:[eventfd]") runtime.foreignWakeups.push_back(fd);
    if (target.starts_with("pipe:") && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
      runtime.signalLock.push_back(fd);
  }
  runtime.known = true;
}

void closeInherited(uv_loop_t* loop, std::vector<int> keep) {
  keep.insert(keep.end(), runtime.signalLock.begin(), runtime.signalLock.end());
  for (const int fd : {loop->backend_fd, loop->async_io_watcher.fd, loop->async_wfd, loop->signal_pipefd[0],
                       loop->signal_pipefd[1]})
    keep.push_back(fd);
  // Whoever wakes a thread that is not there wakes nobody: libuv aborts when it cannot write to the
  // descriptor at all.
  if (!runtime.foreignWakeups.empty()) {
    UniqueFd deaf(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
    for (const int fd : runtime.foreignWakeups) checked(dup3(deaf.get(), fd, O_CLOEXEC), "dup3");
    keep.insert(keep.end(), runtime.foreignWakeups.begin(), runtime.foreignWakeups.end());
  }
  std::sort(keep.begin(), keep.end());
  int next = 3;
  for (const int fd : keep) {
    if (fd < next) continue;
    closeRange(next, static_cast<unsigned>(fd) - 1);
    next = fd + 1;
  }
  closeRange(next, ~0U);
}

void exportDescriptors(Napi::Object exports) {
  exportFunction<noteDescriptors>(exports, "noteDescriptors");
}

}  // namespace tandem
