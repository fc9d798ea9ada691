#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "init/copy_up.h"
#include "init/paths.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

int openTree(const char* path, bool recursive) {
  return static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path,
                                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)));
}

void attach(int tree, int target, const char* subject) {
  // By descriptor on both sides: nothing is looked up again, so no symlink can come in between
  // (CVE-2021-30465).
  must(static_cast<int>(
           syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)),
       "move_mount", subject);
}

// What is set and taken back on the mount itself, and on all mounts beneath it.
struct Attributes {
  uint64_t set, clear, recursiveSet, recursiveClear;
  uint32_t propagation;

  explicit Attributes(Fields& step)
      : set(step.u64()),
        clear(step.u64()),
        recursiveSet(step.u64()),
        recursiveClear(step.u64()),
        propagation(step.u32()) {}

  void apply(int mount, const char* subject) const {
    change(mount, set, clear, 0, 0, subject);
    change(mount, recursiveSet, recursiveClear, 0, AT_RECURSIVE, subject);
    if (propagation != 0)
      change(mount, 0, 0, propagation & ~static_cast<uint32_t>(MS_REC),
             (propagation & MS_REC) ? AT_RECURSIVE : 0, subject);
  }
  bool any() const { return (set | clear | recursiveSet | recursiveClear | propagation) != 0; }

 private:
  static void change(int mount, uint64_t set, uint64_t clear, uint64_t propagation, unsigned flags,
                     const char* subject) {
    if ((set | clear | propagation) == 0) return;
    mount_attr attr{};
    attr.attr_set = set;
    attr.attr_clr = clear;
    attr.propagation = propagation;
    must(static_cast<int>(syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | flags, &attr, sizeof attr)),
         "mount_setattr", subject);
  }
};

// pivot_root(2) refuses a new root on a shared mount, and nothing mounted below it may show up on the host.
void makeParentPrivate(const char* path) {
  char parent[PATH_MAX];
  snprintf(parent, sizeof parent, "%s", path);
  // Only a mount point can change its propagation: the nearest one above the rootfs is the one that holds it.
  while (mount(nullptr, parent, nullptr, MS_PRIVATE, nullptr) != 0) {
    if (errno != EINVAL) fail("mount private", parent, errno);
    char* slash = strrchr(parent, '/');
    if (slash == nullptr) return;
    slash[slash == parent ? 1 : 0] = 0;
  }
}

// A proc or sysfs on a path that a symlink of the image bends elsewhere has been an escape (CVE-2019-16884,
// CVE-2023-27561).
void requirePlainDirectory(const char* path, int target) {
  char real[PATH_MAX], rootPath[PATH_MAX];
  const ssize_t length = readlink(FdPath(target).text, real, sizeof real - 1);
  const ssize_t rootLength = readlink(FdPath(root()).text, rootPath, sizeof rootPath - 1);
  if (length < 0 || rootLength < 0) fail("readlink", path, errno);
  real[length] = 0;
  if (length < rootLength || strcmp(real + rootLength, path) != 0)
    failBecause("must be mounted on ordinary directory, not behind a symlink", path, ELOOP);
}

}  // namespace

void setPropagation(Fields& step) {
  // Without this, every mount made below would appear on the host as well.
  must(mount(nullptr, "/", nullptr, step.u32(), nullptr), "mount propagation", "/");
}

void enterRootfs(Fields& step) {
  const char* path = step.text();
  if (step.flag()) makeParentPrivate(path);
  // pivot_root(2) wants a mount point; a recursive bind keeps what the snapshotter mounted beneath.
  must(mount(path, path, nullptr, MS_BIND | MS_REC, nullptr), "bind", path);
  setRoot(must(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), "open", path));
}

void mountFilesystem(Fields& step) {
  const char* type = step.text();
  const char* source = step.text();
  const char* path = step.text();
  const uint32_t flags = step.u32();
  const char* data = step.text();
  const bool copyUp = step.flag();
  const Attributes attributes(step);
  UniqueFd target(openOrMake(path, Kind::directory));
  if (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0) requirePlainDirectory(path, target.get());
  must(::mount(source, FdPath(target.get()).text, type, flags, data[0] != 0 ? data : nullptr), "mount", path);
  if (!copyUp && !attributes.any()) return;
  UniqueFd mounted(must(openInRoot(path), "open", path));
  if (copyUp) {
    // The descriptor from before the mount still sees what the image has there.
    struct stat status {};
    must(fstat(target.get(), &status), "stat", path);
    copyTree(target.get(), mounted.get(), path);
    must(fchownat(mounted.get(), "", status.st_uid, status.st_gid, AT_EMPTY_PATH), "chown", path);
    must(chmod(FdPath(mounted.get()).text, status.st_mode & 07777), "chmod", path);
  }
  attributes.apply(mounted.get(), path);
}

void bindMount(Fields& step, const Plan& plan) {
  const char* source = step.text();
  const uint32_t sourceFd = step.u32();
  const char* path = step.text();
  const bool recursive = step.flag();
  const Attributes attributes(step);
  // The shim opened what the container's root may not reach, or what is to be id-mapped.
  UniqueFd tree(sourceFd == UINT32_MAX ? must(openTree(source, recursive), "open_tree", source)
                                       : plan.fd(sourceFd));
  struct stat status {};
  must(fstatat(tree.get(), "", &status, AT_EMPTY_PATH), "stat", source);
  attributes.apply(tree.get(), source);
  UniqueFd target(openOrMake(path, S_ISDIR(status.st_mode) ? Kind::directory : Kind::file));
  attach(tree.get(), target.get(), path);
}

void setAttributes(Fields& step) {
  const char* path = step.text();
  const bool optional = step.flag();
  const bool own = step.flag();
  const Attributes attributes(step);
  const int found = openInRoot(path);
  if (found < 0 && errno == ENOENT && optional) return;
  UniqueFd target(must(found, "open", path));
  if (!own) return attributes.apply(target.get(), path);
  // A read-only path is rarely a mount point; it becomes one, over itself.
  UniqueFd tree(
      must(static_cast<int>(syscall(SYS_open_tree, target.get(), "",
                                    OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH)),
           "open_tree", path));
  attributes.apply(tree.get(), path);
  attach(tree.get(), target.get(), path);
}

void maskPath(Fields& step) {
  const char* path = step.text();
  const int found = openInRoot(path);
  // What this kernel does not have need not be hidden (runtime-spec, maskedPaths).
  if (found < 0 && (errno == ENOENT || errno == ENOTDIR)) return;
  UniqueFd target(must(found, "open", path));
  struct stat status {};
  must(fstat(target.get(), &status), "stat", path);
  if (!S_ISDIR(status.st_mode)) {
    UniqueFd null(must(openTree("/dev/null", false), "open_tree", "/dev/null"));
    struct stat device {};
    // The image's /dev/null may be anything (CVE-2025-31133).
    must(fstatat(null.get(), "", &device, AT_EMPTY_PATH), "stat", "/dev/null");
    if (!S_ISCHR(device.st_mode) || device.st_rdev != makedev(1, 3))
      failBecause("is not the null device", "/dev/null", EINVAL);
    return attach(null.get(), target.get(), path);
  }
  UniqueFd context(must(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)), "fsopen", "tmpfs"));
  must(static_cast<int>(syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0)),
       "fsconfig", path);
  UniqueFd empty(must(
      static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC,
                               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)),
      "fsmount", path));
  attach(empty.get(), target.get(), path);
}

void pivotRoot(Fields& step) {
  const char* path = step.text();
  UniqueFd old(must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/"));
  must(fchdir(root()), "fchdir", path);
  if (step.flag()) {
    // The rootfs lies on the initial ramfs, which cannot be pivoted away (process option noPivotRoot).
    must(mount(path, "/", nullptr, MS_MOVE, nullptr), "mount move", path);
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

}  // namespace tandem
