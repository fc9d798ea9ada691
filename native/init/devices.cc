#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "init/console.h"
#include "init/paths.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

constexpr ino_t devptsRootInode = 1;  // devpts_fill_super, fs/devpts/inode.c
int master = -1;

}  // namespace

int consoleMaster() {
  return master;
}

void makeSymlink(Fields& step) {
  const char* content = step.text();
  const char* path = step.text();
  const char* name = nullptr;
  UniqueFd parent(openParent(path, &name));
  if (symlinkat(content, parent.get(), name) == 0) return;
  // The image may bring its own; what is there stays, as with every runtime.
  if (errno != EEXIST) fail("symlink", path, errno);
}

namespace {

struct Device {
  mode_t mode;
  dev_t number;

  bool matches(const struct stat& status) const {
    return (status.st_mode & S_IFMT) == (mode & S_IFMT) && (S_ISFIFO(mode) || status.st_rdev == number);
  }
};

// Nobody makes a device in a user namespace: the machine's of the same name is lent, if it is the one that
// was asked for.
void bindNode(const char* path, const Device& device) {
  UniqueFd tree(
      must(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)),
           "open_tree", path));
  struct stat status {};
  must(fstat(tree.get(), &status), "stat", path);
  if (!device.matches(status)) failBecause("is another device on this machine", path, ENODEV);
  UniqueFd target(openOrMake(path, Kind::file));
  must(static_cast<int>(syscall(SYS_move_mount, tree.get(), "", target.get(), "",
                                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)),
       "move_mount", path);
}

}  // namespace

void makeNode(Fields& step) {
  const char* path = step.text();
  const mode_t mode = step.u32();
  const uint32_t major = step.u32();
  const uint32_t minor = step.u32();
  const Device device{mode, makedev(major, minor)};
  const uint32_t uid = step.u32();
  const uint32_t gid = step.u32();
  if (step.flag()) return bindNode(path, device);
  const char* name = nullptr;
  UniqueFd parent(openParent(path, &name));
  if (mknodat(parent.get(), name, mode, device.number) != 0 && errno != EEXIST) fail("mknod", path, errno);
  UniqueFd node(must(openat(parent.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC), "open", path));
  struct stat status {};
  must(fstat(node.get(), &status), "stat", path);
  // config-linux.md: a file that is there already must be the device that was asked for. One that was made
  // just now must be, too: others may have a hand in a volume.
  if (!device.matches(status)) failBecause("exists and is another kind of file", path, EEXIST);
  // mknod(2) honours the umask.
  must(chmod(FdPath(node.get()).text, mode & 07777), "chmod", path);
  must(fchownat(node.get(), "", uid, gid, AT_EMPTY_PATH), "chown", path);
}

namespace {

// By the container's own devpts, so that its ttyname(3) finds the terminal; by nothing else that it or its
// image may have put there.
int openMaster() {
  UniqueFd pts(must(openInRoot("/dev/pts"), "open", "/dev/pts"));
  struct statfs filesystem {};
  struct stat status {};
  must(fstatfs(pts.get(), &filesystem), "statfs", "/dev/pts");
  must(fstat(pts.get(), &status), "stat", "/dev/pts");
  if (filesystem.f_type != DEVPTS_SUPER_MAGIC || status.st_ino != devptsRootInode)
    failBecause("is not a devpts file system", "/dev/pts", EINVAL);
  open_how how{};
  how.flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  return must(static_cast<int>(syscall(SYS_openat2, pts.get(), "ptmx", &how, sizeof how)), "open",
              "/dev/pts/ptmx");
}

// /dev/console itself, never what a symlink of that name points to (CVE-2025-52565).
int openConsoleTarget() {
  const char* name = nullptr;
  UniqueFd parent(openParent("/dev/console", &name));
  UniqueFd made(openat(parent.get(), name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!made && errno != EEXIST) fail("create", "/dev/console", errno);
  UniqueFd target(must(openat(parent.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC), "open", "/dev/console"));
  struct stat status {};
  must(fstat(target.get(), &status), "stat", "/dev/console");
  if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
    failBecause("is neither a file nor a device", "/dev/console", ELOOP);
  return target.release();
}

}  // namespace

void openConsole(Fields& step) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(step.u32());
  size.ws_col = static_cast<unsigned short>(step.u32());
  const uid_t uid = step.u32();
  const bool bind = step.flag();
  const bool relayed = step.flag();
  master = openMaster();
  int unlock = 0;
  must(ioctl(master, TIOCSPTLCK, &unlock), "ioctl", "TIOCSPTLCK");
  // By ioctl, not by name: the name is the container's to change.
  UniqueFd slave(must(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "ioctl", "TIOCGPTPEER"));
  if (size.ws_row != 0 || size.ws_col != 0)
    must(ioctl(slave.get(), TIOCSWINSZ, &size), "ioctl", "TIOCSWINSZ");
  must(fchown(slave.get(), uid, static_cast<gid_t>(-1)), "chown", "terminal");
  termios settings{};
  if (relayed && tcgetattr(slave.get(), &settings) == 0) {
    // Before the first line comes out of it.
    settings.c_oflag &= ~static_cast<tcflag_t>(ONLCR);
    must(tcsetattr(slave.get(), TCSANOW, &settings), "tcsetattr", "terminal");
  }
  if (bind) {
    UniqueFd target(openConsoleTarget());
    UniqueFd tree(must(static_cast<int>(syscall(SYS_open_tree, slave.get(), "",
                                                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)),
                       "open_tree", "terminal"));
    must(static_cast<int>(syscall(SYS_move_mount, tree.get(), "", target.get(), "",
                                  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)),
         "move_mount", "/dev/console");
  }
  // The session leader without a terminal gets it as its controlling one; job control and SIGWINCH depend on
  // that.
  must(ioctl(slave.get(), TIOCSCTTY, 0), "ioctl", "TIOCSCTTY");
  for (int fd = 0; fd <= 2; fd++) must(dup2(slave.get(), fd), "dup2", "terminal");
}

}  // namespace tandem
