// The container's root becomes "/".
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/paths.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr size_t maxMountinfo = 64 << 20;

// All of it before anything is unmounted. Only what is written to becomes memory.
char* readMountinfo() {
  auto* text = static_cast<char*>(mmap(nullptr, maxMountinfo, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (text == MAP_FAILED) fail("mmap", "mountinfo", errno);
  UniqueFd file(must(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), "open", "/proc/self/mountinfo"));
  size_t length = 0;
  for (;;) {
    const ssize_t part =
        must(read(file.get(), text + length, maxMountinfo - 1 - length), "read", "/proc/self/mountinfo");
    if (part == 0) return text;
    length += static_cast<size_t>(part);
  }
}

// The kernel writes space, tab, newline and backslash in a path as \ooo.
void decodeOctal(char* path) {
  char* out = path;
  for (const char* at = path; *at != 0; out++) {
    const bool escaped = at[0] == '\\' && at[1] != 0 && at[2] != 0 && at[3] != 0;
    *out = escaped ? static_cast<char>((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0')) : *at;
    at += escaped ? 4 : 1;
  }
  *out = 0;
}

// The fifth field of a line, if what is mounted there is a proc or a sysfs (proc_pid_mountinfo(5)).
char* kernelMount(char* line) {
  const char* type = strstr(line, " - ");
  if (type == nullptr || (strncmp(type + 3, "proc ", 5) != 0 && strncmp(type + 3, "sysfs ", 6) != 0))
    return nullptr;
  for (int field = 0; field < 4; field++) line = strchr(line, ' ') + 1;
  *strchr(line, ' ') = 0;
  decodeOctal(line);
  return line;
}

// A root that is moved instead of pivoted leaves the machine's mounts beneath it, out of reach but not out of
// the namespace: the kernel allows whoever makes a user namespace in the container to mount a proc or sysfs
// without its masks, as long as a whole one is in sight (mount_too_revealing, fs/namespace.c). So the
// machine's are taken away.
void unmountKernelFiles(const char* root) {
  const size_t length = strlen(root);
  char* rest = nullptr;
  for (char* line = strtok_r(readMountinfo(), "\n", &rest); line != nullptr;
       line = strtok_r(nullptr, "\n", &rest)) {
    const char* path = kernelMount(line);
    if (path == nullptr) continue;
    if (strncmp(path, root, length) == 0 && (path[length] == 0 || path[length] == '/')) continue;
    // Slave first: the unmounting must not reach the machine. What lay beneath another that is gone already
    // (EINVAL, ENOENT) is gone with it.
    mount(nullptr, path, nullptr, MS_SLAVE | MS_REC, nullptr);
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
      fail("umount", path, errno);
  }
}

}  // namespace

void changeRoot(Fields& step) {
  const char* path = step.text();
  const Root how{step.u32()};
  if (how == Root::chroot) {
    // The namespace has others in it, whose root is not ours to pivot away.
    must(fchdir(root()), "fchdir", path);
    must(chroot("."), "chroot", path);
    return setRoot(must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/"));
  }
  UniqueFd old(must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/"));
  must(fchdir(root()), "fchdir", path);
  if (how == Root::move) {
    // The rootfs lies on the initial ramfs, which cannot be pivoted away (process option noPivotRoot).
    char place[PATH_MAX];
    const ssize_t length = must(readlink(FdPath(root()).text, place, sizeof place - 1), "readlink", path);
    place[length] = 0;
    unmountKernelFiles(place);
    must(mount(".", "/", nullptr, MS_MOVE, nullptr), "mount move", path);
    must(chroot("."), "chroot", path);
    must(chdir("/"), "chdir", "/");
  } else {
    // "." twice stacks the old root on the new one, pivot_root(2): no directory of the image is needed for
    // it.
    must(static_cast<int>(syscall(SYS_pivot_root, ".", ".")), "pivot_root", path);
    must(fchdir(old.get()), "fchdir", "old root");
    // Slave first: the unmounting below must not reach the host.
    must(mount("", ".", "", MS_SLAVE | MS_REC, nullptr), "mount slave", "old root");
    must(umount2(".", MNT_DETACH), "umount", "old root");
    must(chdir("/"), "chdir", "/");
  }
  setRoot(must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/"));
}

void enterRoot(Fields& step, const Plan& plan) {
  // Of a container without a mount namespace of its own, which no setns leads to.
  must(fchdir(plan.fd(step.u32())), "fchdir", "container's root");
  must(chroot("."), "chroot", "container's root");
}

void unmountTree(Fields& step) {
  const char* path = step.text();
  if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
    fail("umount", path, errno);
}

}  // namespace tandem
