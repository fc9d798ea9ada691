#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>

#include "init/proc.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

namespace tandem {

void setLabel(Fields& step) {
  // Takes effect at the next execve(2), which is the program's.
  const char* file = step.text();
  writeProc(file, step.text());
}

namespace {

bool isNullDevice(int fd, struct stat* status) {
  return fstat(fd, status) == 0 && S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

// The container's own null device, if that is what it has there. O_NONBLOCK: an exec finds what the container
// has put.
UniqueFd containersNull(struct stat* status) {
  UniqueFd own(open("/dev/null", O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (own && isNullDevice(own.get(), status)) return own;
  // One on a file system that is mounted nowhere, so that nothing but this descriptor leads to it. In a user
  // namespace there is none, and there the machine's belongs to somebody else.
  UniqueFd context(static_cast<int>(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC)));
  if (!context || syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return {};
  UniqueFd root(static_cast<int>(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOEXEC)));
  if (!root || mknodat(root.get(), "null", S_IFCHR | 0666, makedev(1, 3)) != 0) return {};
  UniqueFd made(openat(root.get(), "null", O_RDWR | O_CLOEXEC));
  if (!made || !isNullDevice(made.get(), status)) return {};
  return made;
}

}  // namespace

void ownStdio(Fields& step) {
  const uid_t uid = step.u32();
  struct stat nullStatus {};
  UniqueFd null;
  for (int fd = 0; fd <= 2; fd++) {
    struct stat status {};
    if (isNullDevice(fd, &status)) {
      // The shim's is the machine's: its root's mode and owner would be the container's to change.
      if (!null) null = containersNull(&nullStatus);
      if (null && (status.st_dev != nullStatus.st_dev || status.st_ino != nullStatus.st_ino))
        must(dup2(null.get(), fd), "dup2", "/dev/null");
      continue;
    }
    if (fstat(fd, &status) != 0 || status.st_uid == uid) continue;
    // So that the program can open /dev/stdout again. Descriptors on a file system without owners stay as
    // they are.
    if (fchown(fd, uid, static_cast<gid_t>(-1)) != 0 && errno != EINVAL && errno != EPERM && errno != EROFS)
      fail("chown", "stdio", errno);
  }
}

void dropBounding(Fields& step) {
  // First of all sets: dropping from it needs CAP_SETPCAP, which goes with the others. The kernel says where
  // the list ends.
  const uint64_t keep = step.u64();
  for (unsigned capability = 0; capability < 64; capability++) {
    if ((keep >> capability & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) return;
    fail("prctl", "PR_CAPBSET_DROP", errno);
  }
}

void becomeUser(Fields& step) {
  const uid_t uid = step.u32();
  const gid_t gid = step.u32();
  uint32_t length = 0;
  const void* groups = step.bytes(&length);
  const bool mayBeDenied = step.flag();
  // The permitted set survives the change of uid, so that setCapabilities can choose from it.
  must(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl", "PR_SET_KEEPCAPS");
  // Groups while it is still allowed, then the gid, then the uid. Always, or the runtime's own groups would
  // stay.
  // In a user namespace that was mapped without privileges nobody may (user_namespaces(7)).
  if (setgroups(length / sizeof(gid_t), static_cast<const gid_t*>(groups)) != 0 &&
      !(mayBeDenied && errno == EPERM))
    fail("setgroups", "", errno);
  must(setresgid(gid, gid, gid), "setresgid");
  must(setresuid(uid, uid, uid), "setresuid");
  // The change of uid forgot this (prctl(2), PR_SET_DUMPABLE resets to suid_dumpable); until execve it is
  // still the runtime.
  prctl(PR_SET_DUMPABLE, 0);
}

void setCapabilities(Fields& step) {
  const uint64_t effective = step.u64();
  const uint64_t permitted = step.u64();
  const uint64_t inheritable = step.u64();
  const uint64_t ambient = step.u64();
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {
      {static_cast<uint32_t>(effective), static_cast<uint32_t>(permitted),
       static_cast<uint32_t>(inheritable)},
      {static_cast<uint32_t>(effective >> 32), static_cast<uint32_t>(permitted >> 32),
       static_cast<uint32_t>(inheritable >> 32)}};
  must(static_cast<int>(syscall(SYS_capset, &header, data)), "capset");
  must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl", "PR_CAP_AMBIENT_CLEAR_ALL");
  for (unsigned capability = 0; capability < 64; capability++)
    if ((ambient >> capability & 1) != 0)
      must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0), "prctl", "PR_CAP_AMBIENT_RAISE");
}

void forbidNewPrivileges(Fields& step) {
  must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS");
}

void installFilter(Fields& step) {
  const uint32_t flags = step.u32();
  uint32_t length = 0;
  const void* filter = step.bytes(&length);
  sock_fprog program{static_cast<unsigned short>(length / sizeof(sock_filter)),
                     static_cast<sock_filter*>(const_cast<void*>(filter))};
  // The filter may not allow the call.
  closeAtExec();
  const int listener = must(static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program)),
                            "seccomp", "filter");
  if ((flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0) return;
  // The agent must be listening before the first system call that waits for its answer.
  tell(ToShim::listener, listener);
  close(listener);
  await(ToInit::proceed);
}

}  // namespace tandem
