// The child borrows its maker's memory (CLONE_VM) while the calling thread is stopped (CLONE_VFORK), and
// leaves it by execveat of container-init.
#include "sys/spawn_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/clone3.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr int firstFree = 10;

[[noreturn]] void fail(InitSpawn* spawn, const char* call) {
  spawn->failedErrno = errno;
  spawn->failedCall = call;
  _exit(1);
}

bool hasUserNamespace(const InitSpawn& spawn) {
  bool user = (spawn.newNamespaces & CLONE_NEWUSER) != 0;
  for (size_t i = 0; i < spawn.joinCount; i++) user = user || spawn.joins[i].type == CLONE_NEWUSER;
  return user;
}

// A pid namespace concerns only those born after setns, and new namespaces belong to the user namespace just
// entered: then one more birth is needed.
bool isNested(const InitSpawn& spawn) {
  for (size_t i = 0; i < spawn.joinCount; i++) {
    const int type = spawn.joins[i].type;
    if (type == CLONE_NEWPID || type == CLONE_NEWUSER || (spawn.newNamespaces & CLONE_NEWUSER) != 0)
      return true;
  }
  return false;
}

// In another user namespace this process has every capability but no uid of root's, and execve(2) would take
// them away: ambient ones stay.
void keepCapabilities(InitSpawn* spawn) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) fail(spawn, "capget");
  for (auto& half : data) half.inheritable = half.permitted;
  if (syscall(SYS_capset, &header, data) != 0) fail(spawn, "capset");
  for (unsigned capability = 0; capability < 64; capability++)
    if ((data[capability / 32].permitted >> (capability % 32) & 1) != 0)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

// Node ignores SIGPIPE and catches others; a program expects the defaults, and ignoring survives execve.
void resetSignals() {
  for (int signal = 1; signal < 65; signal++) {
    struct {
      void* handler;
      unsigned long flags;
      void* restorer;
      unsigned long mask;
    } action{};
    if (signal != SIGKILL && signal != SIGSTOP)
      syscall(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
  }
}

[[noreturn]] void becomeInit(InitSpawn* spawn) {
  resetSignals();
  const int socketNumber = 3 + static_cast<int>(spawn->preserved);
  // Copies out of the way first: any of them may stand where another is to go.
  const int outOfTheWay = firstFree + static_cast<int>(spawn->preserved);
  int sources[4] = {spawn->stdio[0], spawn->stdio[1], spawn->stdio[2], spawn->socket};
  for (int& source : sources) {
    source = fcntl(source, F_DUPFD_CLOEXEC, outOfTheWay);
    if (source < 0) fail(spawn, "fcntl");
  }
  const int executable = fcntl(spawn->executable, F_DUPFD_CLOEXEC, outOfTheWay);
  if (executable < 0) fail(spawn, "fcntl");
  for (int i = 0; i < 4; i++)
    if (dup2(sources[i], i < 3 ? i : socketNumber) < 0) fail(spawn, "dup2");
  // The maker's descriptors end here, whatever their flags say.
  if (syscall(SYS_close_range, socketNumber + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail(spawn, "close_range");
  const uint64_t allSignals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &allSignals, nullptr, sizeof allSignals);
  // container-init learns its socket's number from its first argument.
  char number[12], name[] = "container-init";
  char* digit = number + sizeof number - 1;
  *digit = 0;
  for (int rest = socketNumber; digit == number + sizeof number - 1 || rest > 0; rest /= 10)
    *--digit = static_cast<char>('0' + rest % 10);
  char unmapped[] = "unmapped";
  char* args[] = {name, digit, spawn->waitsForMaps ? unmapped : nullptr, nullptr};
  char* env[] = {nullptr};
  syscall(SYS_execveat, executable, "", args, env, AT_EMPTY_PATH);
  fail(spawn, "execveat");
}

// A thread that moves itself, by `tasks` and not by cgroup.procs, needs no lock against fork and exit of its
// group: the other way waits for an RCU grace period, some 15 ms (kernel/cgroup/cgroup.c,
// cgroup_procs_write_start).
void joinCgroups(InitSpawn* spawn) {
  for (size_t i = 0; i < spawn->cgroupFileCount; i++) {
    const int file = open(spawn->cgroupFiles[i], O_WRONLY | O_CLOEXEC);
    if (file < 0) fail(spawn, "open tasks of the cgroup");
    if (write(file, "0", 1) != 1) fail(spawn, "write tasks of the cgroup");
    close(file);
  }
}

// The caller is to hear which one it was.
const char* setnsOf(int type) {
  switch (type) {
    case CLONE_NEWNS:
      return "setns mount";
    case CLONE_NEWCGROUP:
      return "setns cgroup";
    case CLONE_NEWUTS:
      return "setns uts";
    case CLONE_NEWIPC:
      return "setns ipc";
    case CLONE_NEWUSER:
      return "setns user";
    case CLONE_NEWPID:
      return "setns pid";
    case CLONE_NEWNET:
      return "setns network";
    default:
      return "setns";
  }
}

// Namespaces of the runtime's owner first, then the user namespace, then those that only its root may enter.
void enterNamespaces(InitSpawn* spawn) {
  bool entered[maxJoins] = {};
  bool user = false;
  for (size_t i = 0; i < spawn->joinCount; i++) user = user || spawn->joins[i].type == CLONE_NEWUSER;
  for (int pass = user ? 0 : 2; pass < 3; pass++) {
    for (size_t i = 0; i < spawn->joinCount; i++) {
      const Join& join = spawn->joins[i];
      if (entered[i] || (pass == 1) != (join.type == CLONE_NEWUSER)) continue;
      if (setns(join.fd, join.type) == 0)
        entered[i] = true;
      else if (pass > 0 || errno != EPERM)
        fail(spawn, setnsOf(join.type));
    }
  }
}

constexpr uint64_t borrow = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;

[[noreturn]] void runInner(void* argument) {
  auto* spawn = static_cast<InitSpawn*>(argument);
  if (hasUserNamespace(*spawn)) keepCapabilities(spawn);
  becomeInit(spawn);
}

[[noreturn]] void runOuter(void* argument) {
  auto* spawn = static_cast<InitSpawn*>(argument);
  // While the machine's cgroup mounts are still in sight.
  joinCgroups(spawn);
  enterNamespaces(spawn);
  if (!isNested(*spawn)) runInner(spawn);
  // As the maker's child, and this one ends.
  alignas(16) static char stack[cloneStackSize];
  spawn->pid =
      cloneOnto(borrow | CLONE_PARENT | spawn->newNamespaces, -1, &spawn->pidfd, runInner, spawn, stack);
  if (spawn->pid < 0) fail(spawn, "clone3");
  _exit(0);
}

// While a child that has joined a container's namespaces still runs on this process's memory, the container
// can see it. What is not dumpable can be neither traced nor read through /proc by the root of another user
// namespace (ptrace(2)).
class Undumpable {
 public:
  explicit Undumpable(bool wanted) : previous_(wanted ? prctl(PR_GET_DUMPABLE) : 0) {
    if (previous_ == 1) prctl(PR_SET_DUMPABLE, 0);
  }
  ~Undumpable() {
    if (previous_ == 1) prctl(PR_SET_DUMPABLE, 1);
  }
  Undumpable(const Undumpable&) = delete;
  Undumpable& operator=(const Undumpable&) = delete;

 private:
  int previous_;
};

// A signal handler of the maker's that ran in the child would run on borrowed memory.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t previous_{};
};

bool refuse(InitSpawn* spawn, const char* call, int error) {
  spawn->failedCall = call;
  spawn->failedErrno = error;
  return false;
}

}  // namespace
}  // namespace tandem

bool spawnInit(InitSpawn* spawn) {
  using namespace tandem;
  spawn->pid = spawn->pidfd = -1;
  spawn->failedCall = nullptr;
  spawn->failedErrno = 0;
  spawn->waitsForMaps = (spawn->newNamespaces & CLONE_NEWUSER) != 0 && geteuid() != 0;
  const bool nested = isNested(*spawn);
  const BlockedSignals signals;
  const Undumpable memory(nested);
  alignas(16) static char stack[cloneStackSize];
  const uint64_t intoCgroup = spawn->cgroupDirectory < 0 ? 0 : CLONE_INTO_CGROUP;
  int pidfd = -1;
  const pid_t outer = cloneOnto(borrow | intoCgroup | (nested ? 0 : spawn->newNamespaces),
                                spawn->cgroupDirectory, &pidfd, runOuter, spawn, stack);
  if (outer < 0) return refuse(spawn, "clone3", errno);
  UniqueFd outerPidfd(pidfd);
  if (nested || spawn->failedCall != nullptr) waitpid(outer, nullptr, __WALL);
  if (spawn->failedCall != nullptr) {
    if (spawn->pid > 0) waitpid(spawn->pid, nullptr, __WALL);
    return false;
  }
  if (nested) {
    // CLONE_PIDFD put it into the table of the process between, which is gone.
    spawn->pidfd = static_cast<int>(syscall(SYS_pidfd_open, spawn->pid, 0));
    return spawn->pidfd >= 0 ? true : refuse(spawn, "pidfd_open", errno);
  }
  spawn->pid = outer;
  spawn->pidfd = outerPidfd.release();
  return true;
}
