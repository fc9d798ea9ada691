#include "init/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "init/report.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr ino_t procRootInode = 1;  // PROC_ROOT_INO, linux/proc_fs.h
constexpr size_t prefixLength = sizeof "/proc/" - 1;

}  // namespace

bool isProcRoot(int fd) {
  struct statfs filesystem {};
  struct stat status {};
  return fstatfs(fd, &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC && fstat(fd, &status) == 0 &&
         status.st_ino == procRootInode;
}

void writeProc(const char* path, const char* value) {
  if (strncmp(path, "/proc/", prefixLength) != 0) failBecause("is not in /proc", path, EINVAL);
  UniqueFd proc(must(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/proc"));
  if (!isProcRoot(proc.get())) failBecause("is not a proc file system", "/proc", EINVAL);
  open_how how{};
  how.flags = O_WRONLY | O_CLOEXEC;
  // "self" is a symlink, but none that leads out of this very mount.
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  UniqueFd file(
      must(static_cast<int>(syscall(SYS_openat2, proc.get(), path + prefixLength, &how, sizeof how)), "open",
           path));
  must(write(file.get(), value, strlen(value)), "write", path);
}

}  // namespace tandem
