// The kernel's wall around a wasm process. The caller is a freshly forked child with exactly one thread, so
// it may do to itself what a normal Node cannot: enter namespaces, change its root, drop every capability for
// the whole process.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/descriptors.h"
#include "addon/groups.h"
#include "addon/in_root.h"
#include "addon/kernel_mounts.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr const char* filesystemRoot = "/fs";
// Directories in it, for file systems that are several trees side by side.
constexpr int maxPlaces = 64;

std::string text(Napi::Object object, const char* key) {
  return object.Get(key).As<Napi::String>();
}
int number(Napi::Object object, const char* key) {
  return object.Get(key).As<Napi::Number>().Int32Value();
}

// --- file systems
// ------------------------------------------------------------------------------------------------------

void setMountAttributes(int tree, uint64_t attributes, const std::string& subject) {
  mount_attr attr{};
  attr.attr_set = attributes;
  // Private: nothing that happens on the host's side of the mount shows up in the guest later.
  attr.propagation = MS_PRIVATE;
  checked(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr),
          "mount_setattr", subject);
}

// A copy of what is mounted at a path, attached nowhere: it exists as long as its descriptor or the namespace
// it is moved to.
Napi::Value cloneMount(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  Napi::Object options = info[1].As<Napi::Object>();
  const int recursive = options.Get("recursive").ToBoolean() ? AT_RECURSIVE : 0;
  UniqueFd tree(static_cast<int>(
      checked(syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive),
              "open_tree", path)));
  // A guest has no use for devices, set-uid files or programs of the kernel's kind.
  uint64_t attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  if (options.Get("readonly").ToBoolean()) attributes |= MOUNT_ATTR_RDONLY;
  setMountAttributes(tree.get(), attributes, path);
  return Napi::Number::New(info.Env(), tree.release());
}

Napi::Value createTmpfs(const Napi::CallbackInfo& info) {
  Napi::Array options = info[0].As<Napi::Array>();
  UniqueFd context(
      static_cast<int>(checked(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), "fsopen", "tmpfs")));
  for (uint32_t i = 0; i < options.Length(); i++) {
    const std::string option = options.Get(i).As<Napi::String>();
    const size_t equals = option.find('=');
    const std::string key = option.substr(0, equals);
    if (equals == std::string::npos)
      checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0), "fsconfig",
              option);
    else
      checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, key.c_str(),
                      option.c_str() + equals + 1, 0),
              "fsconfig", option);
  }
  checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "fsconfig",
          "tmpfs");
  uint64_t attributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  if (info[1].ToBoolean()) attributes |= MOUNT_ATTR_RDONLY;
  const long mounted =
      checked(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes), "fsmount", "tmpfs");
  return Napi::Number::New(info.Env(), static_cast<double>(mounted));
}

// Made once, by the zygote: a mount namespace that holds nothing but a read-only tmpfs with empty
// directories. A wasm process enters a copy of it. Copying the host's namespace instead would cost more with
// every pod on the node.
void buildEmptyNamespace(const std::string& scratch) {
  checked(unshare(CLONE_NEWNS), "unshare", "mount namespace");
  checked(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), "mount", "/ private");
  checked(mount("tandem", scratch.c_str(), "tmpfs", MS_NODEV | MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"),
          "mount", scratch);
  checked(chdir(scratch.c_str()), "chdir", scratch);
  checked(mkdir("fs", 0755), "mkdir", "fs");
  for (int i = 0; i < maxPlaces; i++) {
    const std::string place = "fs/" + std::to_string(i);
    checked(mkdir(place.c_str(), 0755), "mkdir", place);
  }
  // "." twice: the old root ends up on top of the new one and is detached, no directory for it is needed
  // (pivot_root(2)).
  checked(syscall(SYS_pivot_root, ".", "."), "pivot_root", scratch);
  checked(umount2(".", MNT_DETACH), "umount2", "old root");
  checked(mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC,
                nullptr),
          "mount", "/ read-only");
}

Napi::Value createEmptyMountNamespace(const Napi::CallbackInfo& info) {
  const std::string scratch = info[0].As<Napi::String>();
  int ready[2];
  checked(pipe2(ready, O_CLOEXEC), "pipe2");
  UniqueFd readEnd(ready[0]);
  UniqueFd writeEnd(ready[1]);
  int hold[2];
  checked(pipe2(hold, O_CLOEXEC), "pipe2");
  UniqueFd holdRead(hold[0]);
  UniqueFd holdWrite(hold[1]);
  const pid_t pid = checked(fork(), "fork");
  if (pid == 0) {
    holdWrite.reset();
    int error = 0;
    try {
      buildEmptyNamespace(scratch);
    } catch (const ErrnoError& failure) {
      error = failure.code().value();
    }
    char byte = 0;
    if (write(writeEnd.get(), &error, sizeof error) > 0) error = read(holdRead.get(), &byte, 1) < 0;
    _exit(error);
  }
  writeEnd.reset();
  int error = EPIPE;
  const ssize_t length = read(readEnd.get(), &error, sizeof error);
  UniqueFd ns;
  if (length == sizeof error && error == 0) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/mnt";
    ns = UniqueFd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!ns) error = errno;
  }
  holdWrite.reset();
  waitpid(pid, nullptr, 0);
  if (error != 0) throw ErrnoError(error, "mount", "empty namespace at " + scratch);
  return Napi::Number::New(info.Env(), ns.release());
}

// --- steps
// -------------------------------------------------------------------------------------------------------------

void joinCgroups(Napi::Array paths) {
  for (uint32_t i = 0; i < paths.Length(); i++) {
    const std::string path = paths.Get(i).As<Napi::String>();
    UniqueFd file(checked(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", path));
    // "0" is the writer itself, in whatever pid namespace it is.
    checked(write(file.get(), "0", 1), "write", path);
  }
}

void setOomScore(int score) {
  UniqueFd file(checked(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC), "open", "oom_score_adj"));
  const std::string value = std::to_string(score);
  checked(write(file.get(), value.data(), value.size()), "write", "oom_score_adj " + value);
}

void enterNamespaces(Napi::Object options) {
  Napi::Array joins = options.Get("joinNamespaces").As<Napi::Array>();
  for (uint32_t i = 0; i < joins.Length(); i++) {
    // 0: the descriptor itself says which kind of namespace it is.
    checked(setns(joins.Get(i).As<Napi::Number>().Int32Value(), 0), "setns",
            "namespace " + std::to_string(i));
  }
  checked(setns(number(options, "emptyMountNamespace"), CLONE_NEWNS), "setns", "mount namespace");
  checked(unshare(number(options, "unshare") | CLONE_NEWNS), "unshare", "namespaces");
  if (Napi::Value hostname = options.Get("hostname"); hostname.IsString()) {
    const std::string name = hostname.As<Napi::String>();
    checked(sethostname(name.data(), name.size()), "sethostname", name);
  }
}

void moveMount(int from, int to, const std::string& subject) {
  checked(syscall(SYS_move_mount, from, "", to, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
          "move_mount", subject);
}

bool isBeneath(const std::string& path, const std::string& directory) {
  return directory == "/" || path.starts_with(directory + "/");
}

// Makes what is missing of the places in a tree, and the tree read-only then, with all that came along in it.
// What is mounted on something that is mounted itself has its place there.
void sealTree(int tree, int place, Napi::Array mounts, uint32_t own) {
  const std::string root = text(mounts.Get(own).As<Napi::Object>(), "target");
  std::vector<std::string> mounted;
  for (uint32_t i = own + 1; i < mounts.Length(); i++) {
    Napi::Object mount = mounts.Get(i).As<Napi::Object>();
    const std::string target = text(mount, "target");
    if (!isBeneath(target, root)) continue;
    const bool elsewhere = std::any_of(mounted.begin(), mounted.end(),
                                       [&](const std::string& other) { return isBeneath(target, other); });
    if (!elsewhere) makeInRoot(place, target, mount.Get("directory").ToBoolean());
    mounted.push_back(target);
  }
  setMountAttributes(tree, MOUNT_ATTR_RDONLY, root);
}

// The grants become the file system: a tree at its root, the others where the spec wants them.
int mountFilesystem(Napi::Array mounts) {
  UniqueFd place(checked(open(filesystemRoot, O_PATH | O_DIRECTORY | O_CLOEXEC), "open", filesystemRoot));
  for (uint32_t i = 0; i < mounts.Length(); i++) {
    Napi::Object mount = mounts.Get(i).As<Napi::Object>();
    UniqueFd tree(number(mount, "fd"));
    const std::string target = text(mount, "target");
    if (target == "/") {
      moveMount(tree.get(), place.get(), target);
      place =
          UniqueFd(checked(open(filesystemRoot, O_PATH | O_DIRECTORY | O_CLOEXEC), "open", filesystemRoot));
    } else {
      UniqueFd point = makeInRoot(place.get(), target, mount.Get("directory").ToBoolean());
      moveMount(tree.get(), point.get(), target);
    }
    if (mount.Get("seal").ToBoolean()) sealTree(tree.get(), place.get(), mounts, i);
  }
  return place.release();
}

void enterRoot() {
  checked(chroot("/"), "chroot", "/");
  checked(chdir("/"), "chdir", "/");
}

void setLimits(Napi::Array limits) {
  for (uint32_t i = 0; i < limits.Length(); i++) {
    Napi::Array entry = limits.Get(i).As<Napi::Array>();
    const int resource = entry.Get(0u).As<Napi::Number>().Int32Value();
    auto value = [&](uint32_t at) {
      bool lossless = false;
      return static_cast<rlim_t>(entry.Get(at).As<Napi::BigInt>().Uint64Value(&lossless));
    };
    const rlimit limit{value(1), value(2)};
    checked(setrlimit(static_cast<__rlimit_resource>(resource), &limit), "setrlimit",
            std::to_string(resource));
  }
}

void dropCapabilities() {
  // The bounding set first: dropping from it needs a capability that is gone afterwards.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    checked(prctl(PR_CAPBSET_DROP, capability), "prctl", "PR_CAPBSET_DROP");
  checked(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl", "PR_CAP_AMBIENT_CLEAR_ALL");
}

void clearCapabilitySets() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  checked(syscall(SYS_capset, &header, none), "capset");
}

void becomeUser(Napi::Object user) {
  std::vector<gid_t> groups;
  Napi::Array additional = user.Get("additionalGids").As<Napi::Array>();
  for (uint32_t i = 0; i < additional.Length(); i++)
    groups.push_back(additional.Get(i).As<Napi::Number>().Uint32Value());
  // Groups while it is still allowed, then the gid, then the uid: each step takes away the right to the one
  // before.
  checked(setgroups(groups.size(), groups.data()), "setgroups");
  const gid_t gid = user.Get("gid").As<Napi::Number>().Uint32Value();
  const uid_t uid = user.Get("uid").As<Napi::Number>().Uint32Value();
  checked(setresgid(gid, gid, gid), "setresgid", std::to_string(gid));
  checked(setresuid(uid, uid, uid), "setresuid", std::to_string(uid));
}

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif

// Of linux/landlock.h since Linux 6.7 (version 4), newer than what this is built with.
struct LandlockAttributes {
  uint64_t handledAccessFs;
  uint64_t handledAccessNet;
};
struct LandlockPort {
  uint64_t allowedAccess;
  uint64_t port;
};
constexpr int kLandlockRuleNetPort = 2;
constexpr uint64_t kLandlockBindTcp = 1 << 0;
constexpr uint64_t kLandlockConnectTcp = 1 << 1;
constexpr long kLandlockNetVersion = 4;

// TCP ports for one kind of access; none at all when there is no list.
struct PortList {
  uint64_t access;
  Napi::Value ports;

  uint64_t handled() const { return ports.IsArray() ? access : 0; }

  void addTo(int ruleset) const {
    if (!ports.IsArray()) return;
    Napi::Array list = ports.As<Napi::Array>();
    for (uint32_t i = 0; i < list.Length(); i++) {
      const LandlockPort rule{access, list.Get(i).As<Napi::Number>().Uint32Value()};
      checked(syscall(SYS_landlock_add_rule, ruleset, kLandlockRuleNetPort, &rule, 0), "landlock_add_rule",
              "port " + std::to_string(rule.port));
    }
  }
};

// The second lock, where the kernel has it: only what lies beneath the granted tree can be opened, and only
// the TCP ports of the grant can be bound and connected to.
bool restrictWithLandlock(int root, Napi::Object tcpPorts) {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return false;
  const PortList bind{kLandlockBindTcp, tcpPorts.Get("bind")};
  const PortList connect{kLandlockConnectTcp, tcpPorts.Get("connect")};
  const bool net = version >= kLandlockNetVersion;
  LandlockAttributes ruleset{};
  // Version 1 knows the first 13 rights, version 2 adds moving files between directories; without it all
  // moves are denied.
  ruleset.handledAccessFs = version >= 2 ? (LANDLOCK_ACCESS_FS_REFER << 1) - 1 : LANDLOCK_ACCESS_FS_REFER - 1;
  if (net) ruleset.handledAccessNet = bind.handled() | connect.handled();
  const size_t size = net ? sizeof ruleset : sizeof ruleset.handledAccessFs;
  UniqueFd fd(static_cast<int>(
      checked(syscall(SYS_landlock_create_ruleset, &ruleset, size, 0), "landlock_create_ruleset")));
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = ruleset.handledAccessFs & ~LANDLOCK_ACCESS_FS_EXECUTE;
  beneath.parent_fd = root;
  checked(syscall(SYS_landlock_add_rule, fd.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0),
          "landlock_add_rule");
  if (net) {
    bind.addTo(fd.get());
    connect.addTo(fd.get());
  }
  checked(syscall(SYS_landlock_restrict_self, fd.get(), 0), "landlock_restrict_self");
  return true;
}

void installFilter(Napi::Buffer<char> filter) {
  sock_fprog program{static_cast<unsigned short>(filter.Length() / sizeof(sock_filter)),
                     reinterpret_cast<sock_filter*>(filter.Data())};
  checked(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

Napi::Value isolate(const Napi::CallbackInfo& info) {
  Napi::Object options = info[0].As<Napi::Object>();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(info.Env(), &loop);
  noteRuntime(loop);
  joinCgroups(options.Get("cgroupFiles").As<Napi::Array>());
  if (Napi::Value score = options.Get("oomScoreAdj"); score.IsNumber())
    setOomScore(score.As<Napi::Number>().Int32Value());
  // Limits before the capability that lets them be raised is gone.
  setLimits(options.Get("rlimits").As<Napi::Array>());
  Napi::Array mounts = options.Get("mounts").As<Napi::Array>();
  // It is out of sight once the namespace is another.
  UniqueFd proc = mounts.Length() > 0 ? openProc() : UniqueFd();
  enterNamespaces(options);
  UniqueFd root(mountFilesystem(mounts));
  if (proc) coverKernelMounts(proc);
  proc.reset();
  enterRoot();
  umask(number(options, "umask"));
  dropCapabilities();
  if (Napi::Value user = options.Get("user"); user.IsObject()) becomeUser(user.As<Napi::Object>());
  clearCapabilitySets();
  checked(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS");
  // Neighbours of the same uid may not read its memory through /proc or ptrace.
  checked(prctl(PR_SET_DUMPABLE, 0), "prctl", "PR_SET_DUMPABLE");
  const bool landlock = restrictWithLandlock(root.get(), options.Get("tcpPorts").As<Napi::Object>());
  std::vector<int> keep{root.get()};
  Napi::Array kept = options.Get("keepDescriptors").As<Napi::Array>();
  for (uint32_t i = 0; i < kept.Length(); i++) keep.push_back(kept.Get(i).As<Napi::Number>().Int32Value());
  closeInherited(loop, std::move(keep));
  if (Napi::Value filter = options.Get("filter"); filter.IsBuffer())
    installFilter(filter.As<Napi::Buffer<char>>());
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("root", root.release());
  result.Set("landlock", landlock);
  return result;
}

}  // namespace

void exportIsolate(Napi::Object exports) {
  exportFunction<cloneMount>(exports, "cloneMount");
  exportFunction<createTmpfs>(exports, "createTmpfs");
  exportFunction<createEmptyMountNamespace>(exports, "createEmptyMountNamespace");
  exportFunction<isolate>(exports, "isolate");
}

}  // namespace tandem
