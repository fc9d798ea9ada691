// Makes the process that becomes a container's init, without copying one page of Node: the child borrows this
// process's memory (CLONE_VM) while the calling thread is stopped (CLONE_VFORK), and leaves it by execveat of
// container-init.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/clone3.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// A copy of an executable that nobody can write to any more: a container that gets hold of /proc/<pid>/exe
// cannot change what the next container is started with (CVE-2019-5736).
Napi::Value sealExecutable(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  UniqueFd source(checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open", path));
  struct stat status {};
  checked(fstat(source.get(), &status), "fstat", path);
  UniqueFd copy(checked(memfd_create("container-init", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create"));
  for (off_t at = 0; at < status.st_size;) {
    char buffer[65536];
    const ssize_t length = checked(pread(source.get(), buffer, sizeof buffer, at), "pread", path);
    if (length == 0) break;
    checked(pwrite(copy.get(), buffer, static_cast<size_t>(length), at), "pwrite", "container-init");
    at += length;
  }
  // Not readable: in a user namespace the kernel then lets nobody look into the process from its first
  // instruction on.
  checked(fchmod(copy.get(), 0111), "fchmod", "container-init");
  checked(fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), "fcntl",
          "F_ADD_SEALS");
  return Napi::Number::New(info.Env(), copy.release());
}

struct Join {
  int fd;
  int type;
};

// Everything that the child needs, prepared before it exists; and what it leaves behind, since the memory is
// shared.
struct Spawn {
  int executable = -1;
  int socket = -1;
  int stdio[3] = {-1, -1, -1};
  uint64_t newNamespaces = 0;
  // cgroup v1: files to write "0" into. cgroup v2: the directory to be born into, -1 for none.
  std::vector<std::string> cgroupFiles;
  int cgroupDirectory = -1;
  std::vector<Join> joins;
  bool nested = false;
  bool otherUser = false;
  sigset_t signals{};

  pid_t pid = -1;
  int pidfd = -1;
  const char* failedCall = nullptr;
  int failedErrno = 0;

  [[noreturn]] void fail(const char* call) {
    failedErrno = errno;
    failedCall = call;
    _exit(1);
  }
};

// In another user namespace this process has every capability but no uid of root's, and execve(2) would take
// them away: ambient ones stay.
void keepCapabilities(Spawn* spawn) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) spawn->fail("capget");
  for (auto& half : data) half.inheritable = half.permitted;
  if (syscall(SYS_capset, &header, data) != 0) spawn->fail("capset");
  for (unsigned capability = 0; capability < 64; capability++)
    if ((data[capability / 32].permitted >> (capability % 32) & 1) != 0)
      prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
}

[[noreturn]] void becomeInit(Spawn* spawn) {
  // Node ignores SIGPIPE and catches others; a program expects the defaults, and ignoring survives execve.
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
  // Copies out of the way first: any of them may be 0 to 3 itself.
  int sources[4] = {spawn->stdio[0], spawn->stdio[1], spawn->stdio[2], spawn->socket};
  for (int& source : sources) {
    source = fcntl(source, F_DUPFD_CLOEXEC, 10);
    if (source < 0) spawn->fail("fcntl");
  }
  const int executable = fcntl(spawn->executable, F_DUPFD_CLOEXEC, 10);
  if (executable < 0) spawn->fail("fcntl");
  for (int fd = 0; fd < 4; fd++)
    if (dup2(sources[fd], fd) < 0) spawn->fail("dup2");
  // The shim's descriptors end here, whatever their flags say.
  if (syscall(SYS_close_range, 4, ~0U, CLOSE_RANGE_CLOEXEC) != 0) spawn->fail("close_range");
  const uint64_t allSignals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &allSignals, nullptr, sizeof allSignals);
  char name[] = "container-init";
  char* args[] = {name, nullptr};
  char* env[] = {nullptr};
  syscall(SYS_execveat, executable, "", args, env, AT_EMPTY_PATH);
  spawn->fail("execveat");
}

// A thread that moves itself, by `tasks` and not by cgroup.procs, needs no lock against fork and exit of its
// group: the other way waits for an RCU grace period, some 15 ms (kernel/cgroup/cgroup.c,
// cgroup_procs_write_start).
void joinCgroups(Spawn* spawn) {
  for (const std::string& path : spawn->cgroupFiles) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) spawn->fail("open tasks of the cgroup");
    if (write(file, "0", 1) != 1) spawn->fail("write tasks of the cgroup");
    close(file);
  }
}

// Namespaces of the runtime's owner first, then the user namespace, then those that only its root may enter.
void enterNamespaces(Spawn* spawn) {
  bool entered[16] = {};
  bool user = false;
  for (size_t i = 0; i < spawn->joins.size(); i++) user = user || spawn->joins[i].type == CLONE_NEWUSER;
  for (int pass = user ? 0 : 2; pass < 3; pass++) {
    for (size_t i = 0; i < spawn->joins.size(); i++) {
      const Join& join = spawn->joins[i];
      if (entered[i] || (pass == 1) != (join.type == CLONE_NEWUSER)) continue;
      if (setns(join.fd, join.type) == 0)
        entered[i] = true;
      else if (pass > 0 || errno != EPERM)
        spawn->fail("setns");
    }
  }
}

constexpr uint64_t borrow = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;

[[noreturn]] void runInner(void* argument) {
  auto* spawn = static_cast<Spawn*>(argument);
  if (spawn->otherUser) keepCapabilities(spawn);
  becomeInit(spawn);
}

[[noreturn]] void runOuter(void* argument) {
  auto* spawn = static_cast<Spawn*>(argument);
  // While the machine's cgroup mounts are still in sight.
  joinCgroups(spawn);
  enterNamespaces(spawn);
  if (!spawn->nested) runInner(spawn);
  // A pid namespace concerns only those born after setns, and new namespaces belong to the user namespace
  // just entered: one more birth, as the shim's child, and this one ends.
  alignas(16) static char stack[cloneStackSize];
  spawn->pid =
      cloneOnto(borrow | CLONE_PARENT | spawn->newNamespaces, -1, &spawn->pidfd, runInner, spawn, stack);
  if (spawn->pid < 0) spawn->fail("clone3");
  _exit(0);
}

int optionalFd(Napi::Value value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

Spawn readOptions(Napi::Object options) {
  Spawn spawn;
  spawn.executable = optionalFd(options.Get("executable"));
  spawn.socket = optionalFd(options.Get("socket"));
  Napi::Array stdio = options.Get("stdio").As<Napi::Array>();
  for (uint32_t i = 0; i < 3; i++) spawn.stdio[i] = optionalFd(stdio.Get(i));
  spawn.newNamespaces = options.Get("newNamespaces").As<Napi::Number>().Uint32Value();
  spawn.otherUser = (spawn.newNamespaces & CLONE_NEWUSER) != 0;
  Napi::Array files = options.Get("cgroupFiles").As<Napi::Array>();
  for (uint32_t i = 0; i < files.Length(); i++) spawn.cgroupFiles.push_back(files.Get(i).As<Napi::String>());
  spawn.cgroupDirectory = optionalFd(options.Get("cgroupDirectory"));
  Napi::Array joins = options.Get("joinNamespaces").As<Napi::Array>();
  for (uint32_t i = 0; i < joins.Length() && i < 16; i++) {
    Napi::Object join = joins.Get(i).As<Napi::Object>();
    const int type = join.Get("type").As<Napi::Number>().Int32Value();
    spawn.joins.push_back({join.Get("fd").As<Napi::Number>().Int32Value(), type});
    if (type == CLONE_NEWUSER) spawn.otherUser = true;
    if (type == CLONE_NEWPID || type == CLONE_NEWUSER || (spawn.newNamespaces & CLONE_NEWUSER) != 0)
      spawn.nested = true;
  }
  return spawn;
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

Napi::Value spawnInit(const Napi::CallbackInfo& info) {
  Spawn spawn = readOptions(info[0].As<Napi::Object>());
  // A signal handler of Node's that ran in the child would run on borrowed memory.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &spawn.signals);
  alignas(16) static char stack[cloneStackSize];
  int pidfd = -1;
  const Undumpable memory(spawn.nested);
  const uint64_t intoCgroup = spawn.cgroupDirectory < 0 ? 0 : CLONE_INTO_CGROUP;
  const pid_t outer = cloneOnto(borrow | intoCgroup | (spawn.nested ? 0 : spawn.newNamespaces),
                                spawn.cgroupDirectory, &pidfd, runOuter, &spawn, stack);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &spawn.signals, nullptr);
  if (outer < 0) throw ErrnoError(error, "clone3", "container-init");
  UniqueFd outerPidfd(pidfd);
  if (spawn.nested || spawn.failedCall != nullptr) waitpid(outer, nullptr, __WALL);
  if (spawn.failedCall != nullptr) {
    if (spawn.pid > 0) waitpid(spawn.pid, nullptr, __WALL);
    throw ErrnoError(spawn.failedErrno, spawn.failedCall, "container-init");
  }
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", spawn.nested ? spawn.pid : outer);
  if (spawn.nested) {
    // CLONE_PIDFD put it into the table of the process between, which is gone.
    result.Set("pidfd", checked(static_cast<int>(syscall(SYS_pidfd_open, spawn.pid, 0)), "pidfd_open"));
  } else {
    result.Set("pidfd", outerPidfd.release());
  }
  return result;
}

Napi::Value setResourceLimit(const Napi::CallbackInfo& info) {
  const pid_t pid = info[0].As<Napi::Number>().Int32Value();
  const auto resource = static_cast<__rlimit_resource>(info[1].As<Napi::Number>().Uint32Value());
  bool lossless = false;
  rlimit limit{};
  limit.rlim_cur = info[2].As<Napi::BigInt>().Uint64Value(&lossless);
  limit.rlim_max = info[3].As<Napi::BigInt>().Uint64Value(&lossless);
  checked(prlimit(pid, resource, &limit, nullptr), "prlimit", "pid " + std::to_string(pid));
  return info.Env().Undefined();
}

// A detached copy of a mount, owners mapped through a user namespace if one is given (mount_setattr(2),
// ID-mapped mounts).
Napi::Value openMountSource(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const bool recursive = info[1].ToBoolean();
  const int userNamespace = optionalFd(info[2]);
  UniqueFd tree(
      static_cast<int>(checked(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)),
                               "open_tree", path)));
  if (userNamespace >= 0) {
    mount_attr attr{};
    attr.attr_set = MOUNT_ATTR_IDMAP;
    attr.userns_fd = static_cast<uint64_t>(userNamespace);
    checked(
        syscall(SYS_mount_setattr, tree.get(), "",
                AT_EMPTY_PATH | (recursive && info[3].ToBoolean() ? AT_RECURSIVE : 0), &attr, sizeof attr),
        "mount_setattr", "idmap of " + path);
  }
  return Napi::Number::New(info.Env(), tree.release());
}

// To whoever supervises the system calls of a container: the container process state and the filter's
// descriptor.
Napi::Value sendListener(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  auto data = info[1].As<Napi::Uint8Array>();
  const int listener = info[2].As<Napi::Number>().Int32Value();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw ErrnoError(ENAMETOOLONG, "connect", path);
  path.copy(address.sun_path, path.size());
  UniqueFd socket(checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
  checked(connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "connect", path);
  iovec part{data.Data(), data.ByteLength()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof listener)] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof listener);
  memcpy(CMSG_DATA(rights), &listener, sizeof listener);
  checked(sendmsg(socket.get(), &header, MSG_NOSIGNAL), "sendmsg", path);
  return info.Env().Undefined();
}

}  // namespace

void exportSpawn(Napi::Object exports) {
  exportFunction<sealExecutable>(exports, "sealExecutable");
  exportFunction<spawnInit>(exports, "spawnInit");
  exportFunction<sendListener>(exports, "sendListener");
  exportFunction<setResourceLimit>(exports, "setResourceLimit");
  exportFunction<openMountSource>(exports, "openMountSource");
}

}  // namespace tandem
