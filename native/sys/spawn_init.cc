// The child borrows its maker's memory (CLONE_VM) while the calling thread is stopped (CLONE_VFORK), and
// leaves it by execveat of container-init. Until then no process of a container may have it in sight: one
// with CAP_SYS_PTRACE would have its maker's memory and executable (CVE-2016-9962, CVE-2019-5736). So it is
// container-init that enters an existing pid or user namespace (native/init/join.cc).
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

#include "sys/birth_report.h"
#include "sys/clone3.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr int firstFree = maxJoins + 5;

[[noreturn]] void fail(InitSpawn* spawn, const char* call) {
  spawn->failedErrno = errno;
  spawn->failedCall = call;
  _exit(1);
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

// Decimal numbers for an argument vector, without the heap.
class Numbers {
 public:
  char* add(uint64_t number) {
    at_--;
    *at_ = 0;
    do *--at_ = static_cast<char>('0' + number % 10);
    while ((number /= 10) > 0);
    return at_;
  }

 private:
  char text_[(maxJoins + 3) * 21];
  char* at_ = text_ + sizeof text_;
};

// Takes the descriptors that container-init gets out of the way first, since any of them may stand where
// another is to go, and then puts them there: 0, 1, 2, and behind those that are preserved the socket, the
// namespaces to enter, and where to report a birth.
int arrange(InitSpawn* spawn, int report, int* executable) {
  int sources[maxJoins + 5];
  int count = 0;
  for (const int fd : spawn->stdio) sources[count++] = fd;
  sources[count++] = spawn->socket;
  if (report >= 0) {
    for (size_t i = 0; i < spawn->joinCount; i++) sources[count++] = spawn->joins[i].fd;
    sources[count++] = report;
  }
  const int preserved = static_cast<int>(spawn->preserved);
  const int outOfTheWay = firstFree + preserved;
  for (int i = 0; i < count; i++) {
    sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, outOfTheWay);
    if (sources[i] < 0) fail(spawn, "fcntl");
  }
  *executable = fcntl(spawn->executable, F_DUPFD_CLOEXEC, outOfTheWay);
  if (*executable < 0) fail(spawn, "fcntl");
  for (int i = 0; i < count; i++)
    if (dup2(sources[i], i < 3 ? i : i + preserved) < 0) fail(spawn, "dup2");
  // The maker's descriptors end here, whatever their flags say.
  if (syscall(SYS_close_range, count + preserved, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail(spawn, "close_range");
  return 3 + preserved;
}

[[noreturn]] void becomeInit(InitSpawn* spawn, int report) {
  resetSignals();
  int executable = -1;
  const int socket = arrange(spawn, report, &executable);
  const uint64_t allSignals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &allSignals, nullptr, sizeof allSignals);
  // Twin of main and of joinNamespaces in native/init.
  Numbers numbers;
  char name[] = "container-init";
  char* args[maxJoins + 5] = {name, numbers.add(static_cast<uint64_t>(socket)),
                              numbers.add(spawn->waitsForMaps ? 1 : 0)};
  size_t count = 3;
  if (report >= 0) {
    args[count++] = numbers.add(spawn->newNamespaces);
    for (size_t i = 0; i < spawn->joinCount; i++)
      args[count++] = numbers.add(static_cast<uint64_t>(spawn->joins[i].type));
  }
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

// None of these lets a container's processes see this one.
void enterNamespaces(InitSpawn* spawn) {
  for (size_t i = 0; i < spawn->joinCount; i++)
    if (setns(spawn->joins[i].fd, spawn->joins[i].type) != 0) fail(spawn, setnsOf(spawn->joins[i].type));
  if ((spawn->newNamespaces & CLONE_NEWUSER) != 0) keepCapabilities(spawn);
}

struct Child {
  InitSpawn* spawn;
  int report;
};

[[noreturn]] void runChild(void* argument) {
  const auto* child = static_cast<Child*>(argument);
  // While the machine's cgroup mounts are still in sight.
  joinCgroups(child->spawn);
  if (child->report < 0) enterNamespaces(child->spawn);
  becomeInit(child->spawn, child->report);
}

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

// The process that entered the namespaces has had a child there, which is ours, and has ended.
bool takeBorn(InitSpawn* spawn, int report, pid_t outer) {
  BirthReport born{};
  ssize_t length = 0;
  do length = read(report, &born, sizeof born);
  while (length < 0 && errno == EINTR);
  waitpid(outer, nullptr, __WALL);
  if (length != sizeof born) return refuse(spawn, "container-init", ECHILD);
  if (born.pid < 0) return refuse(spawn, born.type == 0 ? "clone3" : setnsOf(born.type), born.error);
  spawn->pid = born.pid;
  spawn->pidfd = static_cast<int>(syscall(SYS_pidfd_open, spawn->pid, 0));
  return spawn->pidfd >= 0 ? true : refuse(spawn, "pidfd_open", errno);
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
  int ends[2] = {-1, -1};
  if (nested && pipe2(ends, O_CLOEXEC) != 0) return refuse(spawn, "pipe2", errno);
  UniqueFd report(ends[0]), reporter(ends[1]);
  const BlockedSignals signals;
  alignas(16) static char stack[cloneStackSize];
  const uint64_t intoCgroup = spawn->cgroupDirectory < 0 ? 0 : CLONE_INTO_CGROUP;
  Child child{spawn, reporter.get()};
  int pidfd = -1;
  const pid_t pid =
      cloneOnto(CLONE_VM | CLONE_VFORK | CLONE_PIDFD | intoCgroup | (nested ? 0 : spawn->newNamespaces),
                spawn->cgroupDirectory, &pidfd, runChild, &child, stack);
  if (pid < 0) return refuse(spawn, "clone3", errno);
  UniqueFd owned(pidfd);
  reporter.reset();
  if (spawn->failedCall != nullptr) {
    waitpid(pid, nullptr, __WALL);
    return false;
  }
  if (nested) return takeBorn(spawn, report.get(), pid);
  spawn->pid = pid;
  spawn->pidfd = owned.release();
  return true;
}
