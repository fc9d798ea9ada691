#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include "init/console.h"
#include "init/paths.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

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

void makeNode(Fields& step) {
  const char* path = step.text();
  const uint32_t mode = step.u32();
  const uint32_t major = step.u32();
  const uint32_t minor = step.u32();
  const dev_t device = makedev(major, minor);
  const uint32_t uid = step.u32();
  const uint32_t gid = step.u32();
  const char* name = nullptr;
  UniqueFd parent(openParent(path, &name));
  if (mknodat(parent.get(), name, mode, device) != 0) {
    if (errno != EEXIST) fail("mknod", path, errno);
    struct stat status {};
    must(fstatat(parent.get(), name, &status, AT_SYMLINK_NOFOLLOW), "stat", path);
    // config-linux.md: a file that is there already must be the device that was asked for.
    if ((status.st_mode & S_IFMT) != (mode & S_IFMT) || (!S_ISFIFO(mode) && status.st_rdev != device))
      failBecause("exists and is another kind of file", path, EEXIST);
  }
  // mknod(2) honours the umask; the node was just checked or made, and O_NOFOLLOW keeps it that one.
  UniqueFd node(must(openat(parent.get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC), "open", path));
  must(chmod(FdPath(node.get()).text, mode & 07777), "chmod", path);
  must(fchownat(node.get(), "", uid, gid, AT_EMPTY_PATH), "chown", path);
}

void openConsole(Fields& step) {
  winsize size{};
  size.ws_row = static_cast<unsigned short>(step.u32());
  size.ws_col = static_cast<unsigned short>(step.u32());
  const uid_t uid = step.u32();
  const bool bind = step.flag();
  // From the container's own devpts, so that its ttyname(3) finds it.
  master = must(open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), "open", "/dev/pts/ptmx");
  int unlock = 0;
  must(ioctl(master, TIOCSPTLCK, &unlock), "ioctl", "TIOCSPTLCK");
  // By ioctl, not by name: the name is the container's to change.
  UniqueFd slave(must(ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC), "ioctl", "TIOCGPTPEER"));
  if (size.ws_row != 0 || size.ws_col != 0)
    must(ioctl(slave.get(), TIOCSWINSZ, &size), "ioctl", "TIOCSWINSZ");
  must(fchown(slave.get(), uid, static_cast<gid_t>(-1)), "chown", "terminal");
  if (bind) {
    UniqueFd target(openOrMake("/dev/console", Kind::file));
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
