// What the Linux executor needs of the kernel beside cgroups: container-init's birth (sys/spawn_init.h) and
// what it is handed.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/spawn_init.h"
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

int optionalFd(Napi::Value value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

// The strings that a spawn points to live in `files`.
InitSpawn readOptions(Napi::Object options, std::vector<std::string>* files) {
  InitSpawn spawn{};
  spawn.executable = optionalFd(options.Get("executable"));
  spawn.socket = optionalFd(options.Get("socket"));
  Napi::Array stdio = options.Get("stdio").As<Napi::Array>();
  for (uint32_t i = 0; i < 3; i++) spawn.stdio[i] = optionalFd(stdio.Get(i));
  spawn.newNamespaces = options.Get("newNamespaces").As<Napi::Number>().Uint32Value();
  spawn.cgroupDirectory = optionalFd(options.Get("cgroupDirectory"));
  Napi::Array names = options.Get("cgroupFiles").As<Napi::Array>();
  Napi::Array joins = options.Get("joinNamespaces").As<Napi::Array>();
  if (names.Length() > maxCgroupFiles || joins.Length() > maxJoins)
    throw ErrnoError(E2BIG, "spawnInit", "container-init");
  for (uint32_t i = 0; i < names.Length(); i++) files->push_back(names.Get(i).As<Napi::String>());
  for (const std::string& file : *files) spawn.cgroupFiles[spawn.cgroupFileCount++] = file.c_str();
  for (uint32_t i = 0; i < joins.Length(); i++) {
    Napi::Object join = joins.Get(i).As<Napi::Object>();
    spawn.joins[spawn.joinCount++] = {join.Get("fd").As<Napi::Number>().Int32Value(),
                                      join.Get("type").As<Napi::Number>().Int32Value()};
  }
  return spawn;
}

Napi::Value spawn(const Napi::CallbackInfo& info) {
  std::vector<std::string> files;
  InitSpawn request = readOptions(info[0].As<Napi::Object>(), &files);
  if (!spawnInit(&request)) throw ErrnoError(request.failedErrno, request.failedCall, "container-init");
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", request.pid);
  result.Set("pidfd", request.pidfd);
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

// Through a user namespace, if one is given: mount_setattr(2), "ID-mapped mounts".
void mapOwners(int tree, int userNamespace, bool recursive, const std::string& subject) {
  if (userNamespace < 0) return;
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(userNamespace);
  checked(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attr,
                  sizeof attr),
          "mount_setattr", "idmap of " + subject);
}

// The copy of a shared mount is its peer: what a container mounts there, the machine would see as well.
void changePropagation(int tree, uint64_t propagation, const std::string& subject) {
  if (propagation == 0) return;
  mount_attr attr{};
  attr.propagation = propagation;
  checked(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr),
          "mount_setattr", "propagation of " + subject);
}

// A detached copy of a mount, owners mapped if asked for.
Napi::Value openMountSource(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto options = info[1].As<Napi::Object>();
  const bool recursive = options.Get("recursive").ToBoolean();
  const int userNamespace = optionalFd(options.Get("userNamespace"));
  UniqueFd tree(
      static_cast<int>(checked(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)),
                               "open_tree", path)));
  changePropagation(tree.get(), options.Get("propagation").As<Napi::Number>().Uint32Value(), path);
  mapOwners(tree.get(), userNamespace, recursive && options.Get("idmapRecursive").ToBoolean(), path);
  return Napi::Number::New(info.Env(), tree.release());
}

// A new file system, detached: while nobody sees it its owners may still be mapped.
Napi::Value createMount(const Napi::CallbackInfo& info) {
  const std::string type = info[0].As<Napi::String>();
  const std::string source = info[1].As<Napi::String>();
  Napi::Array options = info[2].As<Napi::Array>();
  UniqueFd context(
      static_cast<int>(checked(syscall(SYS_fsopen, type.c_str(), FSOPEN_CLOEXEC), "fsopen", type)));
  const auto configure = [&](unsigned command, const char* key, const char* value) {
    checked(syscall(SYS_fsconfig, context.get(), command, key, value, 0), "fsconfig",
            key == nullptr ? type : std::string(key));
  };
  configure(FSCONFIG_SET_STRING, "source", source.c_str());
  for (uint32_t i = 0; i < options.Length(); i++) {
    const std::string option = options.Get(i).As<Napi::String>();
    const size_t equals = option.find('=');
    const std::string key = option.substr(0, equals);
    if (equals == std::string::npos)
      configure(FSCONFIG_SET_FLAG, key.c_str(), nullptr);
    else
      configure(FSCONFIG_SET_STRING, key.c_str(), option.c_str() + equals + 1);
  }
  configure(FSCONFIG_CMD_CREATE, nullptr, nullptr);
  UniqueFd mounted(
      static_cast<int>(checked(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0), "fsmount", type)));
  mapOwners(mounted.get(), optionalFd(info[3]), false, type);
  return Napi::Number::New(info.Env(), mounted.release());
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
  // Connecting waits for room in the backlog of a listener that may never accept.
  timeval patience{5, 0};
  checked(setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience), "setsockopt", path);
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
  exportFunction<spawn>(exports, "spawnInit");
  exportFunction<sendListener>(exports, "sendListener");
  exportFunction<setResourceLimit>(exports, "setResourceLimit");
  exportFunction<openMountSource>(exports, "openMountSource");
  exportFunction<createMount>(exports, "createMount");
}

}  // namespace tandem
