#include "addon/in_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "addon/call.h"

namespace tandem {
namespace {

UniqueFd openInside(int root, const std::string& path, bool directory) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC | (directory ? O_DIRECTORY : 0);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

}  // namespace

UniqueFd makeInRoot(int root, const std::string& path, bool directory) {
  UniqueFd target = openInside(root, path, directory);
  if (target || errno != ENOENT) {
    checked(target.get(), "openat2", path);
    return target;
  }
  const size_t slash = path.find_last_of('/');
  const std::string parentPath = slash == std::string::npos ? "" : path.substr(0, slash);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  UniqueFd parent = parentPath.empty() ? openInside(root, ".", true) : makeInRoot(root, parentPath, true);
  checked(parent.get(), "openat2", path);
  if (directory)
    checked(mkdirat(parent.get(), name.c_str(), 0755), "mkdir", path);
  else
    UniqueFd(checked(
        openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644),
        "open", path));
  target = openInside(root, path, directory);
  checked(target.get(), "openat2", path);
  return target;
}

}  // namespace tandem
