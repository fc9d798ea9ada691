#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdio>

#include "init/copy_up.h"
#include "init/paths.h"
#include "init/proc.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

int openTree(const char* path, bool recursive) {
  return static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path,
                                  OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0)));
}

int cloneTree(int fd) {
  return static_cast<int>(
      syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH));
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

  // What `implied` clears besides may be locked, since a mount namespace with more rights made the mount
  // (mount_namespaces(7)); then it stays, as nobody asked for it by name.
  void apply(int mount, const char* subject, uint64_t implied = 0) const {
    if (implied == 0 || !attempt(mount, set, clear | implied)) change(mount, set, clear, 0, 0, subject);
    change(mount, recursiveSet, recursiveClear, 0, AT_RECURSIVE, subject);
    if (propagation != 0)
      change(mount, 0, 0, propagation & ~static_cast<uint32_t>(MS_REC),
             (propagation & MS_REC) ? AT_RECURSIVE : 0, subject);
  }
  static void makePrivate(int tree, const char* subject) {
    change(tree, 0, 0, MS_PRIVATE, AT_RECURSIVE, subject);
  }
  bool any() const { return (set | clear | recursiveSet | recursiveClear | propagation) != 0; }

 private:
  static bool attempt(int mount, uint64_t set, uint64_t clear) {
    mount_attr attr{};
    attr.attr_set = set;
    attr.attr_clr = clear;
    return syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attr, sizeof attr) == 0;
  }

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

// Of the mount that holds a place.
void changeHolder(int place, uint64_t propagation, const char* path) {
  UniqueFd at(must(fcntl(place, F_DUPFD_CLOEXEC, 0), "fcntl", path));
  mount_attr attr{};
  attr.propagation = propagation;
  // Only a mount point can change its propagation: the nearest one, here or above, is the one that holds it.
  for (int level = 0; level < PATH_MAX; level++) {
    if (syscall(SYS_mount_setattr, at.get(), "", AT_EMPTY_PATH, &attr, sizeof attr) == 0) return;
    if (errno != EINVAL) break;
    at = UniqueFd(must(openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC), "open ..", path));
  }
  fail("mount propagation", path, errno);
}

// Where a descriptor is by now, seen from the container's root. The text lives until the next call.
const char* placeInRoot(int fd, const char* subject) {
  static char place[PATH_MAX], rootPlace[PATH_MAX];
  const ssize_t length = readlink(FdPath(fd).text, place, sizeof place - 1);
  const ssize_t rootLength = readlink(FdPath(root()).text, rootPlace, sizeof rootPlace - 1);
  if (length < 0 || rootLength < 0) fail("readlink", subject, errno);
  place[length] = 0;
  // A root of "/" would be all of the prefix.
  const ssize_t prefix = rootLength == 1 ? 0 : rootLength;
  if (length < prefix || memcmp(place, rootPlace, static_cast<size_t>(prefix)) != 0)
    failBecause("is not in the container's root", subject, EXDEV);
  return place + prefix;
}

constexpr size_t optionLimit = 4096 + 16;  // mount(2) takes a page

// A tmpfs gets the mode of the directory that it covers, unless its options give another: they come later.
const char* withMode(int directory, const char* data, char* out, const char* path) {
  struct stat status {};
  must(fstat(directory, &status), "stat", path);
  const int length =
      snprintf(out, optionLimit, "mode=%04o%s%s", status.st_mode & 07777u, data[0] != 0 ? "," : "", data);
  if (length >= static_cast<int>(optionLimit)) fail("mount options", path, E2BIG);
  return out;
}

// A proc or sysfs on a path that a symlink of the image bends elsewhere has been an escape (CVE-2019-16884,
// CVE-2023-27561).
void requirePlainDirectory(const char* path, int target) {
  if (strcmp(placeInRoot(target, path), path) != 0)
    failBecause("must be mounted on ordinary directory, not behind a symlink", path, ELOOP);
}

// What /proc says of the container is the kernel's to say; a volume in its place would take labels and limits
// for the kernel (CVE-2019-16884). The list is runc's: what lxcfs and the like put over the machine's own
// numbers.
void protectProc(const char* path, int target, int tree) {
  static const char* const replaceable[] = {"/proc/cpuinfo",
                                            "/proc/diskstats",
                                            "/proc/loadavg",
                                            "/proc/meminfo",
                                            "/proc/slabinfo",
                                            "/proc/stat",
                                            "/proc/swaps",
                                            "/proc/uptime",
                                            "/proc/sys/kernel/ns_last_pid",
                                            "/proc/sys/crypto/fips_enabled"};
  struct statfs filesystem {};
  must(fstatfs(target, &filesystem), "statfs", path);
  const bool inProc = filesystem.f_type == PROC_SUPER_MAGIC;
  // The first look is free; where a descriptor is, costs two calls.
  if (!inProc && strstr(path, "proc") == nullptr) return;
  const char* place = placeInRoot(target, path);
  if (strcmp(place, "/proc") == 0) {
    if (tree < 0 || !isProcRoot(tree))
      failBecause("only a proc file system may be mounted there", path, EPERM);
    return;
  }
  if (!inProc) return;
  for (const char* name : replaceable)
    if (strcmp(place, name) == 0) return;
  failBecause("cannot be mounted because it is inside /proc", path, EPERM);
}

// The root of what was just mounted on `target`. The way there leads through directories that others may have
// a hand in; what they exchanged meanwhile is not what was mounted.
UniqueFd openMounted(const char* path, int target) {
  UniqueFd mounted(must(openInRoot(path), "open", path));
  struct statx found {};
  struct stat above {
  }, expected{};
  must(statx(mounted.get(), "", AT_EMPTY_PATH, STATX_TYPE, &found), "statx", path);
  must(fstatat(mounted.get(), "..", &above, 0), "stat", path);
  must(fstatat(target, "..", &expected, 0), "stat", path);
  if ((found.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0 || above.st_dev != expected.st_dev ||
      above.st_ino != expected.st_ino)
    failBecause("was exchanged while it was mounted", path, EXDEV);
  return mounted;
}

}  // namespace

void setPropagation(Fields& step) {
  // Without this, every mount made below would appear on the host as well.
  must(mount(nullptr, "/", nullptr, step.u32(), nullptr), "mount propagation", "/");
}

void enterRootfs(Fields& step) {
  const char* path = step.text();
  // The only time that the path is looked up: what it leads to now is the root, whatever becomes of its name.
  UniqueFd place(must(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), "open", path));
  // pivot_root(2) refuses a new root on a shared mount, and nothing mounted below it may show up on the host.
  if (step.flag()) changeHolder(place.get(), MS_PRIVATE, path);
  // pivot_root(2) wants a mount point; a recursive bind keeps what the snapshotter mounted beneath.
  const int tree = must(cloneTree(place.get()), "bind", path);
  // In a namespace that others are in, what is mounted below is not to appear where this was bound from.
  if (step.flag()) Attributes::makePrivate(tree, path);
  attach(tree, place.get(), path);
  setRoot(tree);
}

void mountFilesystem(Fields& step, const Plan& plan) {
  const char* type = step.text();
  const char* source = step.text();
  const char* path = step.text();
  const uint32_t flags = step.u32();
  const char* data = step.text();
  const bool copyUp = step.flag();
  const uint32_t sourceFd = step.u32();
  const Attributes attributes(step);
  const int found = openInRoot(path);
  UniqueFd target(found >= 0 ? found : openOrMake(path, Kind::directory));
  const bool isProc = strcmp(type, "proc") == 0;
  if (isProc || strcmp(type, "sysfs") == 0) requirePlainDirectory(path, target.get());
  if (!isProc) protectProc(path, target.get(), -1);
  if (sourceFd != UINT32_MAX) {
    // The shim made what is to be id-mapped: that may only be done before anybody sees it.
    UniqueFd tree(plan.fd(sourceFd));
    attributes.apply(tree.get(), path);
    attach(tree.get(), target.get(), path);
    if (!copyUp) return;
  } else {
    char options[optionLimit];
    if (found >= 0 && strcmp(type, "tmpfs") == 0) data = withMode(target.get(), data, options, path);
    must(::mount(source, FdPath(target.get()).text, type, flags, data[0] != 0 ? data : nullptr), "mount",
         path);
    if (!copyUp && !attributes.any()) return;
  }
  UniqueFd mounted(openMounted(path, target.get()));
  if (copyUp) {
    // The descriptor from before the mount still sees what the image has there.
    struct stat status {};
    must(fstat(target.get(), &status), "stat", path);
    copyTree(target.get(), mounted.get(), path);
    must(fchownat(mounted.get(), "", status.st_uid, status.st_gid, AT_EMPTY_PATH), "chown", path);
    must(chmod(FdPath(mounted.get()).text, status.st_mode & 07777), "chmod", path);
  }
  if (sourceFd == UINT32_MAX) attributes.apply(mounted.get(), path);
}

void bindMount(Fields& step, const Plan& plan) {
  const char* source = step.text();
  const uint32_t sourceFd = step.u32();
  const char* path = step.text();
  const bool recursive = step.flag();
  const uint64_t implied = step.u64();
  const Attributes attributes(step);
  // The shim opened what the container's root may not reach, or what is to be id-mapped.
  UniqueFd tree(sourceFd == UINT32_MAX ? must(openTree(source, recursive), "open_tree", source)
                                       : plan.fd(sourceFd));
  struct stat status {};
  must(fstatat(tree.get(), "", &status, AT_EMPTY_PATH), "stat", source);
  attributes.apply(tree.get(), source, implied);
  UniqueFd target(openOrMake(path, S_ISDIR(status.st_mode) ? Kind::directory : Kind::file));
  protectProc(path, target.get(), tree.get());
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
  UniqueFd tree(must(cloneTree(target.get()), "open_tree", path));
  attributes.apply(tree.get(), path);
  attach(tree.get(), target.get(), path);
}

void makeSlave(Fields& step) {
  const char* path = step.text();
  UniqueFd place(openOrMake(path, Kind::directory));
  changeHolder(place.get(), MS_SLAVE, path);
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

}  // namespace tandem
