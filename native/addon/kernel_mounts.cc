#include "addon/kernel_mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/errno_error.h"

namespace tandem {
namespace {

// What is in them is no data but the machine's workings (src/isolation/kernel-filesystems.ts has the same).
constexpr std::array<std::string_view, 19> kKernelFilesystems{
    "proc",     "sysfs",     "cgroup",  "cgroup2",    "devpts",   "mqueue",  "hugetlbfs",
    "debugfs",  "tracefs",   "bpf",     "securityfs", "configfs", "fusectl", "binfmt_misc",
    "efivarfs", "selinuxfs", "smackfs", "pstore",     "resctrl"};

struct Mount {
  uint64_t id;
  std::string path;
};

// mountinfo writes space, tab, newline and backslash as three octal digits (proc_pid_mountinfo(5)).
std::string unescape(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] != '\\' || at + 3 >= text.size()) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
    at += 3;
  }
  return plain;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t from = 0; from <= text.size();) {
    const size_t to = std::min(text.find(separator, from), text.size());
    parts.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

// A line: id parent major:minor root PATH options [tags…] - TYPE source options
std::optional<Mount> kernelMountOf(std::string_view line) {
  const std::vector<std::string_view> words = split(line, ' ');
  const auto dash = std::find(words.begin(), words.end(), "-");
  if (words.size() < 5 || dash == words.end() || dash + 1 == words.end()) return std::nullopt;
  if (std::find(kKernelFilesystems.begin(), kKernelFilesystems.end(), dash[1]) == kKernelFilesystems.end())
    return std::nullopt;
  return Mount{std::stoull(std::string(words[0])), unescape(words[4])};
}

std::string readAll(int file) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const long length = checked(read(file, buffer, sizeof buffer), "read", "mountinfo");
    if (length == 0) return text;
    text.append(buffer, static_cast<size_t>(length));
  }
}

UniqueFd emptyDirectory() {
  UniqueFd context(
      static_cast<int>(checked(syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC), "fsopen", "tmpfs")));
  checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "mode", "555", 0), "fsconfig", "mode");
  checked(syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), "fsconfig",
          "tmpfs");
  const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
  return UniqueFd(static_cast<int>(
      checked(syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, attributes), "fsmount", "tmpfs")));
}

// False where nobody gets to it anyway: something is mounted on top of it or above, or it is in a directory
// that this process may not enter, nor its guest.
bool cover(const Mount& mount) {
  UniqueFd place(open(mount.path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) return false;
    throw ErrnoError(errno, "open", mount.path);
  }
  struct statx status {};
  checked(statx(place.get(), "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &status), "statx", mount.path);
  if ((status.stx_mask & STATX_MNT_ID) != 0 && status.stx_mnt_id != mount.id) return false;
  if (!S_ISDIR(status.stx_mode)) {
    checked(umount2(mount.path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW), "umount2", mount.path);
    return true;
  }
  UniqueFd empty = emptyDirectory();
  checked(syscall(SYS_move_mount, empty.get(), "", place.get(), "",
                  MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH),
          "move_mount", mount.path);
  return true;
}

}  // namespace

UniqueFd openProc() {
  return UniqueFd(checked(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/proc"));
}

void coverKernelMounts(const UniqueFd& proc) {
  // Of this process, so of its new namespace, whatever mount namespace that /proc belongs to.
  UniqueFd file(
      checked(openat(proc.get(), "self/mountinfo", O_RDONLY | O_CLOEXEC), "openat", "/proc/self/mountinfo"));
  const std::string text = readAll(file.get());
  std::vector<Mount> mounts;
  for (const std::string_view line : split(text, '\n'))
    if (std::optional<Mount> mount = kernelMountOf(line)) mounts.push_back(std::move(*mount));
  // From the top down: what is below a covered one is covered with it.
  std::sort(mounts.begin(), mounts.end(),
            [](const Mount& a, const Mount& b) { return a.path + "/" < b.path + "/"; });
  std::string covered;
  for (const Mount& mount : mounts) {
    if (!covered.empty() && (mount.path + "/").starts_with(covered + "/")) continue;
    if (cover(mount)) covered = mount.path;
  }
}

}  // namespace tandem
