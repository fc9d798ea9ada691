// Descriptors of the WASI 0.1 host: their kind, attributes, and the entries of directories.
#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "addon/wasi_groups.h"
#include "addon/wasi_guest.h"
#include "addon/wasi_stat.h"
#include "sys/unique_fd.h"

namespace tandem::wasi {

uint8_t fileType(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFBLK:
      return 1;
    case S_IFCHR:
      return 2;
    case S_IFDIR:
      return 3;
    case S_IFREG:
      return 4;
    case S_IFSOCK:
      return 6;
    case S_IFLNK:
      return 7;
    default:
      return 0;  // a FIFO has no type in WASI 0.1
  }
}

void storeStat(const GuestMemory& memory, uint32_t offset, const struct stat& from, bool unstable) {
  const auto nanoseconds = [](const timespec& time) {
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
  };
  // wasi_unstable has a 32-bit nlink, and with it everything after lies eight bytes earlier.
  const size_t size = unstable ? 56 : 64;
  uint8_t* out = memory.at(offset, size);
  memset(out, 0, size);
  const uint64_t head[2] = {from.st_dev, from.st_ino};
  memcpy(out, head, sizeof head);
  out[16] = fileType(from.st_mode);
  if (unstable) {
    const auto links = static_cast<uint32_t>(std::min<uint64_t>(from.st_nlink, UINT32_MAX));
    memcpy(out + 20, &links, sizeof links);
  } else {
    const uint64_t links = from.st_nlink;
    memcpy(out + 24, &links, sizeof links);
  }
  const uint64_t tail[4] = {static_cast<uint64_t>(from.st_size), nanoseconds(from.st_atim),
                            nanoseconds(from.st_mtim), nanoseconds(from.st_ctim)};
  memcpy(out + (unstable ? 24 : 32), tail, sizeof tail);
}

int timesFrom(int64_t atime, int64_t mtime, uint32_t flags, timespec out[2]) {
  constexpr uint32_t kAtime = 1, kAtimeNow = 2, kMtime = 4, kMtimeNow = 8;
  constexpr uint32_t kSigned = 1u << 16;  // beyond the 16 bits of WASI 0.1
  if ((flags & kAtime && flags & kAtimeNow) || (flags & kMtime && flags & kMtimeNow) ||
      (flags & ~kSigned) > 15)
    return EINVAL;
  constexpr int64_t kSecond = 1'000'000'000;
  const auto one = [&](uint64_t time, uint32_t set, uint32_t setNow) -> timespec {
    if (flags & setNow) return {0, UTIME_NOW};
    if ((flags & set) == 0) return {0, UTIME_OMIT};
    if (const auto before = static_cast<int64_t>(time); flags & kSigned && before < 0) {
      // The nanoseconds count forwards also before 1970.
      const int64_t rest = (before % kSecond + kSecond) % kSecond;
      return {static_cast<time_t>((before - rest) / kSecond), static_cast<long>(rest)};
    }
    return {static_cast<time_t>(time / 1'000'000'000u), static_cast<long>(time % 1'000'000'000u)};
  };
  out[0] = one(static_cast<uint64_t>(atime), kAtime, kAtimeNow);
  out[1] = one(static_cast<uint64_t>(mtime), kMtime, kMtimeNow);
  return 0;
}

namespace {

// wasiKind(fd, out: [file type, access, isTerminal, fdflags]): access bit 0 reading, bit 1 writing.
int wasiKind(const Arguments& in) {
  int32_t* out = in.ints(1, 4);
  if (out == nullptr) return EINVAL;
  const int fd = in.i32(0);
  struct stat status;
  if (fstat(fd, &status) < 0) return errno;
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  out[0] = fileType(status.st_mode);
  if (S_ISSOCK(status.st_mode)) {
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_DGRAM) out[0] = 5;
  }
  const int access = flags & O_ACCMODE;
  out[1] = access == O_RDWR ? 3 : access == O_WRONLY ? 2 : 1;
  termios terminal;
  out[2] = S_ISCHR(status.st_mode) && tcgetattr(fd, &terminal) == 0;
  out[3] = (flags & O_APPEND ? 1 : 0) | (flags & O_DSYNC ? 2 : 0) | ((flags & O_SYNC) == O_SYNC ? 24 : 0);
  return 0;
}

// wasiSetAppend(fd, on)
int wasiSetAppend(const Arguments& in) {
  const int fd = in.i32(0);
  const int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  const int wanted = in.i32(1) != 0 ? flags | O_APPEND : flags & ~O_APPEND;
  return wanted != flags && fcntl(fd, F_SETFL, wanted) < 0 ? errno : 0;
}

// wasiClose(fd). The process's own stdio numbers stay taken, by a descriptor that neither reads nor writes:
// otherwise the next file of the guest would get what the host says on its stderr.
int wasiClose(const Arguments& in) {
  const int fd = in.i32(0);
  if (fd > 2) return close(fd) < 0 ? errno : 0;
  const UniqueFd nothing(open("/", O_PATH | O_CLOEXEC));
  if (!nothing) return errno;
  return dup3(nothing.get(), fd, O_CLOEXEC) < 0 ? errno : 0;
}

// wasiStat(memory, fd, result, unstable)
int wasiStat(const Arguments& in) {
  struct stat status;
  if (fstat(in.i32(1), &status) < 0) return errno;
  storeStat(in.memory(0), in.u32(2), status, in.i32(3) != 0);
  return 0;
}

// wasiSetTimes(fd, atime, mtime, flags). AT_EMPTY_PATH, because a preopen's descriptor may be O_PATH.
int wasiSetTimes(const Arguments& in) {
  timespec times[2];
  if (const int error = timesFrom(in.i64(1), in.i64(2), in.u32(3), times); error != 0) return error;
  return utimensat(in.i32(0), "", times, AT_EMPTY_PATH) < 0 ? errno : 0;
}

// wasiSetSize(fd, size)
int wasiSetSize(const Arguments& in) {
  return ftruncate(in.i32(0), in.i64(1)) < 0 ? errno : 0;
}

// wasiAllocate(fd, offset, length): the file grows when it must, and never shrinks.
int wasiAllocate(const Arguments& in) {
  return posix_fallocate(in.i32(0), in.i64(1), in.i64(2));
}

// wasiAdvise(fd, offset, length, advice)
int wasiAdvise(const Arguments& in) {
  static constexpr int kAdvices[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                     POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
  if (in.u32(3) >= 6 || in.i64(1) < 0 || in.i64(2) < 0) return EINVAL;
  return posix_fadvise(in.i32(0), in.i64(1), in.i64(2), kAdvices[in.u32(3)]);
}

// An O_PATH directory cannot be listed or synced: gives the descriptor a readable description under the same
// number.
int makeReadable(int fd) {
  const UniqueFd readable(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!readable) return errno;
  return dup3(readable.get(), fd, O_CLOEXEC) < 0 ? errno : 0;
}

// wasiSync(fd, dataOnly)
int wasiSync(const Arguments& in) {
  const int fd = in.i32(0);
  const auto sync = [&] { return in.i32(1) != 0 ? fdatasync(fd) : fsync(fd); };
  if (sync() == 0) return 0;
  if (errno != EBADF) return errno;
  if (const int error = makeReadable(fd); error != 0) return error == ENOTDIR ? EBADF : error;
  return sync() == 0 ? 0 : errno;
}

struct LinuxDirent {
  uint64_t inode;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];
};

uint8_t entryType(int directory, const LinuxDirent& entry) {
  if (entry.type != DT_UNKNOWN) return fileType(DTTOIF(entry.type));
  struct stat status;
  return fstatat(directory, entry.name, &status, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : fileType(status.st_mode);
}

// wasiReadDirectory(memory, fd, buffer, length, cookie, result). Cookies are the file system's own positions,
// so they stay true whatever happens to the directory between two calls.
int wasiReadDirectory(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  const uint32_t length = in.u32(3);
  uint8_t* buffer = memory.at(in.u32(2), length);
  memory.at(in.u32(5), 4);
  const int64_t cookie = in.i64(4);
  off_t position = lseek(fd, cookie, SEEK_SET);
  if (position < 0 && errno == EBADF) {
    if (const int error = makeReadable(fd); error != 0) return error;
    position = lseek(fd, cookie, SEEK_SET);
  }
  // EINVAL: a position that the file system cannot have is behind the last entry.
  if (position < 0 && errno != EINVAL) return errno;
  if (position < 0) {
    memory.store(in.u32(5), uint32_t{0});
    return 0;
  }
  uint32_t used = 0;
  alignas(LinuxDirent) char entries[4096];
  while (used < length) {
    const long got = syscall(SYS_getdents64, fd, entries, sizeof entries);
    if (got < 0) return errno;
    if (got == 0) break;
    for (long at = 0; at < got && used < length;) {
      const auto* entry = reinterpret_cast<const LinuxDirent*>(entries + at);
      at += entry->length;
      uint8_t head[24] = {};
      const auto nameLength = static_cast<uint32_t>(strlen(entry->name));
      memcpy(head, &entry->next, 8);
      memcpy(head + 8, &entry->inode, 8);
      memcpy(head + 16, &nameLength, 4);
      head[20] = entryType(fd, *entry);
      // The last entry is cut where the buffer ends: a full buffer tells the guest that there is more.
      const uint32_t headPart = std::min<uint32_t>(sizeof head, length - used);
      memcpy(buffer + used, head, headPart);
      used += headPart;
      const uint32_t namePart = std::min(nameLength, length - used);
      memcpy(buffer + used, entry->name, namePart);
      used += namePart;
    }
  }
  memory.store(in.u32(5), used);
  return 0;
}

}  // namespace

void exportFile(napi_env env, napi_value exports) {
  exportCall<wasiKind>(env, exports, "wasiKind");
  exportCall<wasiSetAppend>(env, exports, "wasiSetAppend");
  exportCall<wasiClose>(env, exports, "wasiClose");
  exportCall<wasiStat>(env, exports, "wasiStat");
  exportCall<wasiSetTimes>(env, exports, "wasiSetTimes");
  exportCall<wasiSetSize>(env, exports, "wasiSetSize");
  exportCall<wasiAllocate>(env, exports, "wasiAllocate");
  exportCall<wasiAdvise>(env, exports, "wasiAdvise");
  exportCall<wasiSync>(env, exports, "wasiSync");
  exportCall<wasiReadDirectory>(env, exports, "wasiReadDirectory");
}

}  // namespace tandem::wasi
