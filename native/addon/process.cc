// Processes: fork, exit, wait, signals by pidfd, descriptors of a child.
#include <fcntl.h>
#include <malloc.h>
#include <node_api.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

int pidfdOpen(pid_t pid) {
  return static_cast<int>(
      checked(syscall(SYS_pidfd_open, pid, 0), "pidfd_open", "pid " + std::to_string(pid)));
}

// Where the next child is born, and the way back: unshare and setns of a pid namespace concern children only,
// so the zygote itself never moves, but it must point its children at its own namespace again.
class ChildPidNamespace {
 public:
  ChildPidNamespace(bool fresh, int existing) {
    if (!fresh && existing < 0) return;
    own_ = UniqueFd(checked(open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC), "open", "/proc/self/ns/pid"));
    if (fresh) checked(unshare(CLONE_NEWPID), "unshare", "pid namespace");
    if (!fresh) checked(setns(existing, CLONE_NEWPID), "setns", "pid namespace");
  }
  ~ChildPidNamespace() {
    if (own_) setns(own_.get(), CLONE_NEWPID);
  }

 private:
  UniqueFd own_;
};

// Where the kernel reaps by itself (autoReap), a child that ends at once takes its pid with it, and the pidfd
// would be of nobody or of a stranger. Meanwhile it stays a zombie.
class ReapingLater {
 public:
  ReapingLater() { sigaction(SIGCHLD, &standard_, &previous_); }
  ~ReapingLater() {
    if (!active_) return;
    sigaction(SIGCHLD, &previous_, nullptr);
    // Whoever died meanwhile, the newborn or an older child, is a zombie that the kernel does not come back
    // for.
    if (previous_.sa_handler != SIG_IGN) return;
    while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
  }
  ReapingLater(const ReapingLater&) = delete;
  ReapingLater& operator=(const ReapingLater&) = delete;
  void born(pid_t pid) {
    // A child wants to know how its own children end.
    if (pid == 0) active_ = false;
  }

 private:
  struct sigaction standard_ {};
  struct sigaction previous_ {};
  bool active_ = true;
};

Napi::Value forkProcess(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Object options = info[0].As<Napi::Object>();
  const bool fresh = options.Get("newPid").ToBoolean();
  Napi::Value existing = options.Get("pidNamespace");
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);

  pid_t pid = -1;
  ReapingLater reaping;
  {
    ChildPidNamespace birthplace(fresh, existing.IsNumber() ? existing.As<Napi::Number>().Int32Value() : -1);
    // glibc's fork, not a raw clone: it refreshes the thread id that pthread mutexes compare.
    pid = checked(fork(), "fork");
    reaping.born(pid);
    // The child's epoll set is the parent's until libuv makes a new one.
    if (pid == 0) uv_loop_fork(loop);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", pid);
  result.Set("pidfd", pid == 0 ? -1 : pidfdOpen(pid));
  return result;
}

Napi::Value exitNow(const Napi::CallbackInfo& info) {
  _exit(info[0].As<Napi::Number>().Int32Value());
}

Napi::Value processId(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), getpid());
}

Napi::Value minorFaults(const Napi::CallbackInfo& info) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Napi::Number::New(info.Env(), static_cast<double>(usage.ru_minflt));
}

Napi::Value waitPidfd(const Napi::CallbackInfo& info) {
  siginfo_t state{};
  checked(waitid(static_cast<idtype_t>(P_PIDFD), info[0].As<Napi::Number>().Uint32Value(), &state,
                 WEXITED | WNOHANG),
          "waitid");
  if (state.si_pid == 0) return info.Env().Undefined();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", state.si_pid);
  result.Set("status", state.si_code == CLD_EXITED ? state.si_status : 128 + state.si_status);
  return result;
}

Napi::Value autoReap(const Napi::CallbackInfo& info) {
  // With SIG_IGN the kernel reaps children by itself: no zombie outlives the zygote's attention.
  signal(SIGCHLD, SIG_IGN);
  return info.Env().Undefined();
}

Napi::Value waitForChildren(const Napi::CallbackInfo& info) {
  // With SIGCHLD ignored it ends with ECHILD, once the last one has ended (wait(2), "NOTES").
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) continue;
  return info.Env().Undefined();
}

Napi::Value reapOrphan(const Napi::CallbackInfo& info) {
  // By pid, never -1: a subreaper inherits orphans, but may not steal the status of a child that somebody
  // waits for.
  int status = 0;
  const pid_t pid = waitpid(info[0].As<Napi::Number>().Int32Value(), &status, WNOHANG);
  return Napi::Boolean::New(info.Env(), pid > 0);
}

Napi::Value peekDeadChild(const Napi::CallbackInfo& info) {
  siginfo_t state{};
  // WNOWAIT: looks and leaves it for whoever waits for it. ECHILD: there are no children.
  if (waitid(P_ALL, 0, &state, WEXITED | WNOHANG | WNOWAIT) != 0 || state.si_pid == 0)
    return info.Env().Undefined();
  return Napi::Number::New(info.Env(), state.si_pid);
}

Napi::Value openPidfd(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), pidfdOpen(info[0].As<Napi::Number>().Int32Value()));
}

Napi::Value pidfdSendSignal(const Napi::CallbackInfo& info) {
  const int signal = info[1].As<Napi::Number>().Int32Value();
  checked(syscall(SYS_pidfd_send_signal, info[0].As<Napi::Number>().Int32Value(), signal, nullptr, 0),
          "pidfd_send_signal", "signal " + std::to_string(signal));
  return info.Env().Undefined();
}

// linux/pidfd.h of Linux 6.15, which older headers lack.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t ids[11];
  int32_t exitCode;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr uint64_t kPidfdInfoExit = 1 << 3;

Napi::Value pidfdEndingSignal(const Napi::CallbackInfo& info) {
  PidfdInfo about{};
  about.mask = kPidfdInfoExit;
  // The only way to learn how somebody else's child ended. Older kernels do not know the call, or not this
  // part.
  if (ioctl(info[0].As<Napi::Number>().Int32Value(), _IOWR(0xFF, 11, PidfdInfo), &about) < 0 ||
      (about.mask & kPidfdInfoExit) == 0)
    return info.Env().Undefined();
  return Napi::Number::New(info.Env(), WIFSIGNALED(about.exitCode) ? WTERMSIG(about.exitCode) : 0);
}

Napi::Value closeFd(const Napi::CallbackInfo& info) {
  checked(close(info[0].As<Napi::Number>().Int32Value()), "close");
  return info.Env().Undefined();
}

Napi::Value replaceFd(const Napi::CallbackInfo& info) {
  // dup2 clears O_CLOEXEC on the copy: 0, 1 and 2 are meant to be inherited.
  checked(dup2(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value()), "dup2");
  return info.Env().Undefined();
}

int statusPipe = -1;

// Async-signal-safe: the guest may be anywhere, even inside V8's compiler.
void exitForSignal(int signal) {
  char line[] = "{\"exit\":128}\n";
  const int status = 128 + signal;
  line[8] = static_cast<char>('0' + status / 100);
  line[9] = static_cast<char>('0' + status / 10 % 10);
  line[10] = static_cast<char>('0' + status % 10);
  if (write(statusPipe, line, sizeof line - 1) < 0) _exit(255);
  _exit(status);
}

Napi::Value exitOnSignal(const Napi::CallbackInfo& info) {
  statusPipe = info[0].As<Napi::Number>().Int32Value();
  struct sigaction action {};
  action.sa_handler = exitForSignal;
  // Pid 1 of a namespace ignores every signal that it has no handler for; a container's process is expected
  // to die of them.
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGXCPU})
    sigaction(signal, &action, nullptr);
  return info.Env().Undefined();
}

// When a thread of JavaScript ends, Node takes its environment down and the process goes on. One whose
// thread was never to end (V8 had no memory left for it) has to end with it.
void exitForThread(void* pipe) {
  static constexpr char kLine[] = "{\"exit\":125}\n";
  static constexpr char kReason[] =
      "tandem: a thread of the guest has come to an end, most likely for want of memory\n";
  const int fd = static_cast<int>(reinterpret_cast<intptr_t>(pipe));
  if (write(STDERR_FILENO, kReason, sizeof kReason - 1) < 0 ||
      (fd >= 0 && write(fd, kLine, sizeof kLine - 1) < 0))
    _exit(255);
  _exit(125);
}

Napi::Value exitWithThread(const Napi::CallbackInfo& info) {
  const auto pipe = static_cast<intptr_t>(info[0].As<Napi::Number>().Int32Value());
  napi_add_env_cleanup_hook(info.Env(), exitForThread, reinterpret_cast<void*>(pipe));
  return info.Env().Undefined();
}

Napi::Value setProcessName(const Napi::CallbackInfo& info) {
  prctl(PR_SET_NAME, info[0].As<Napi::String>().Utf8Value().c_str());
  return info.Env().Undefined();
}

Napi::Value enterShim(const Napi::CallbackInfo& info) {
  prctl(PR_SET_NAME, info[0].As<Napi::String>().Utf8Value().c_str());
  // Ctrl-C in the terminal of a containerd started by hand must not reach the shims.
  setsid();
  // Processes that daemonise inside a container without a pid namespace must not escape to the host's init.
  checked(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl", "PR_SET_CHILD_SUBREAPER");
  // Stopping a shim by signal would leave its containers without a supervisor.
  for (const int ignored : {SIGTERM, SIGINT, SIGHUP}) signal(ignored, SIG_IGN);
  // containerd removes the bundle.
  checked(chdir("/"), "chdir", "/");
  return info.Env().Undefined();
}

// Uses up the holes that the warm-up left in the C heap. A child that allocated from them would write to, and
// so copy, as many pages as there are holes; from the end of the heap it takes a few pages in a row. What is
// taken is never given back.
Napi::Value fillHeapHoles(const Napi::CallbackInfo& info) {
  constexpr size_t largest = 256 * 1024;
  constexpr size_t smallest = 24;
  // Chunks of the last free piece of the heap are at its end: those are not holes.
  const char* end = static_cast<char*>(sbrk(0)) - mallinfo2().keepcost;
  for (size_t size = largest; size >= smallest; size = size > 2048 ? size / 2 : size - 16) {
    for (;;) {
      void* hole = malloc(size);
      if (hole >= end || hole == nullptr) {
        free(hole);
        break;
      }
    }
  }
  return info.Env().Undefined();
}

Napi::Value dieWithParent(const Napi::CallbackInfo& info) {
  checked(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl", "PR_SET_PDEATHSIG");
  return info.Env().Undefined();
}

Napi::Value setSession(const Napi::CallbackInfo& info) {
  setsid();
  return info.Env().Undefined();
}

}  // namespace

void exportProcess(Napi::Object exports) {
  exportFunction<forkProcess>(exports, "fork");
  exportFunction<exitNow>(exports, "exitNow");
  exportFunction<processId>(exports, "getpid");
  exportFunction<minorFaults>(exports, "minorFaults");
  exportFunction<waitPidfd>(exports, "waitPidfd");
  exportFunction<autoReap>(exports, "autoReap");
  exportFunction<waitForChildren>(exports, "waitForChildren");
  exportFunction<reapOrphan>(exports, "reapOrphan");
  exportFunction<peekDeadChild>(exports, "peekDeadChild");
  exportFunction<openPidfd>(exports, "pidfdOpen");
  exportFunction<pidfdEndingSignal>(exports, "pidfdEndingSignal");
  exportFunction<pidfdSendSignal>(exports, "pidfdSendSignal");
  exportFunction<closeFd>(exports, "close");
  exportFunction<replaceFd>(exports, "replaceFd");
  exportFunction<exitOnSignal>(exports, "exitOnSignal");
  exportFunction<exitWithThread>(exports, "exitWithThread");
  exportFunction<setProcessName>(exports, "setProcessName");
  exportFunction<enterShim>(exports, "enterShim");
  exportFunction<fillHeapHoles>(exports, "fillHeapHoles");
  exportFunction<dieWithParent>(exports, "dieWithParent");
  exportFunction<setSession>(exports, "setSession");
}

}  // namespace tandem
