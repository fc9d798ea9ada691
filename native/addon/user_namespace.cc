// What a process without rights does to have some, over itself alone. For a freshly forked child with exactly
// one thread.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <string>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

void writeOwn(const std::string& name, const std::string& text) {
  const std::string path = "/proc/self/" + name;
  UniqueFd file(checked(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", path));
  checked(write(file.get(), text.data(), text.size()), "write", path);
}

// Every capability, in a user namespace of one uid and one gid: both are what they were.
Napi::Value enterUserNamespace(const Napi::CallbackInfo& info) {
  const std::string uid = std::to_string(geteuid());
  const std::string gid = std::to_string(getegid());
  checked(unshare(CLONE_NEWUSER), "unshare", "user namespace");
  // Without it the kernel lets nobody map a group who could not have dropped it before (user_namespaces(7)).
  writeOwn("setgroups", "deny");
  writeOwn("uid_map", uid + " " + uid + " 1");
  writeOwn("gid_map", gid + " " + gid + " 1");
  return info.Env().Undefined();
}

// A copy of every mount that is there now, for who may clone mounts of its own namespaces only.
Napi::Value copyMounts(const Napi::CallbackInfo& info) {
  checked(unshare(CLONE_NEWNS), "unshare", "mount namespace");
  return info.Env().Undefined();
}

}  // namespace

void exportUserNamespace(Napi::Object exports) {
  exportFunction<enterUserNamespace>(exports, "enterUserNamespace");
  exportFunction<copyMounts>(exports, "copyMounts");
}

}  // namespace tandem
