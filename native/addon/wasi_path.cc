// Paths of the WASI 0.1 host. No path of the guest is ever resolved without RESOLVE_BENEATH: directories on
// the way by openat2, the last component by the *at call itself, which follows nothing. So whatever another
// process does to the tree meanwhile, a guest never leaves the directory that it names.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <string_view>

#include "addon/wasi_groups.h"
#include "addon/wasi_guest.h"
#include "addon/wasi_stat.h"
#include "sys/unique_fd.h"

namespace tandem::wasi {
namespace {

// openat2(2) that cannot leave `directory`. EPERM when it would have to, as WASI says it.
int openBeneath(int directory, const char* path, uint64_t flags, uint64_t mode, UniqueFd* result) {
  open_how how = {};
  how.flags = flags | O_CLOEXEC | O_NOCTTY;
  if (flags & O_PATH) how.flags &= ~static_cast<uint64_t>(O_NOCTTY);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: a rename elsewhere made the kernel unsure about a "..". It asks to try again.
  for (int attempt = 0; attempt < 1000; attempt++) {
    const long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    if (fd >= 0) {
      result->reset(static_cast<int>(fd));
      return 0;
    }
    if (errno != EAGAIN && errno != EINTR) return errno == EXDEV ? EPERM : errno;
  }
  return EAGAIN;
}

bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t at) { return at < text.size() ? static_cast<uint8_t>(text[at]) : 0u; };
    const uint8_t first = static_cast<uint8_t>(byte(i));
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xC2 && first < 0xE0 ? 2
                          : (first & 0xF0) == 0xE0        ? 3
                          : first >= 0xF0 && first < 0xF5 ? 4
                                                          : 0;
    if (length == 0) return false;
    for (size_t k = 1; k < length; k++) {
      if ((byte(i + k) & 0xC0) != 0x80) return false;
    }
    const unsigned second = byte(i + 1);
    const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
    const bool beyond = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
    if (overlong || beyond) return false;
    i += length;
  }
  return true;
}

// A path of the guest, copied out of its memory once, so that no thread of its can change it after the
// checks.
class GuestPath {
 public:
  // 0, or why it cannot be a path.
  int read(const GuestMemory& memory, uint32_t offset, uint32_t length) {
    const uint8_t* from = memory.at(offset, length);
    if (length >= sizeof text_) return ENAMETOOLONG;
    memcpy(text_, from, length);
    text_[length] = '\0';
    length_ = length;
    if (length == 0) return ENOENT;
    if (memchr(text_, '\0', length) != nullptr) return EINVAL;
    return isUtf8({text_, length}) ? 0 : EILSEQ;
  }

  char* text() { return text_; }
  const char* text() const { return text_; }
  uint32_t length() const { return length_; }
  bool absolute() const { return text_[0] == '/'; }

 private:
  char text_[PATH_MAX];
  uint32_t length_ = 0;
};

// Where a path leads: an open directory and one component in it. Trailing slashes stay on the component, for
// the kernel to judge; a call that would follow a symlink because of them asks `directoryWanted`.
class Target {
 public:
  // 0, or the Linux errno.
  int resolve(int directory, const GuestMemory& memory, uint32_t offset, uint32_t length) {
    if (const int error = path_.read(memory, offset, length); error != 0) return error;
    if (path_.absolute()) return EPERM;
    directory_ = parent_ = directory;
    uint32_t end = path_.length();
    while (end > 0 && path_.text()[end - 1] == '/') end--;
    slash_ = end < path_.length();
    uint32_t start = end;
    while (start > 0 && path_.text()[start - 1] != '/') start--;
    const std::string_view last(path_.text() + start, end - start);
    if (last == "." || last == "..") {
      dots_ = true;
      // Every call but a look-up has an answer for these that changes nothing, if only they are within the
      // directory.
      UniqueFd inside;
      if (const int error = openBeneath(directory, path_.text(), O_PATH | O_DIRECTORY, 0, &inside);
          error != 0)
        return error;
    }
    if (start == 0) {
      name_ = path_.text();
      return 0;
    }
    // "a/b/c": everything before c, with the slash that makes it a directory, is resolved on its own.
    char prefix[PATH_MAX];
    memcpy(prefix, path_.text(), start);
    prefix[start] = '\0';
    if (const int error = openBeneath(directory, prefix, O_PATH | O_DIRECTORY, 0, &owned_); error != 0)
      return error;
    parent_ = owned_.get();
    name_ = path_.text() + start;
    return 0;
  }

  int parent() const { return parent_; }
  const char* name() const { return name_; }
  // The component means a directory, not an entry: "a/", "." or "..".
  bool directoryWanted() const { return slash_ || dots_; }
  // Opens what the whole path leads to, symlinks followed.
  int openFollowing(UniqueFd* result) const {
    return openBeneath(directory_, path_.text(), O_PATH | (slash_ ? O_DIRECTORY : 0), 0, result);
  }

 private:
  GuestPath path_;
  UniqueFd owned_;
  int directory_ = -1;
  int parent_ = -1;
  const char* name_ = nullptr;
  bool slash_ = false;
  bool dots_ = false;
};

int result(int done) {
  return done < 0 ? errno : 0;
}

// wasiOpen(memory, directory, path, length, flags, out: [fd, file type]): flags are bits of Open below.
int wasiOpen(const Arguments& in) {
  enum Open : uint32_t {
    kRead = 1,
    kWrite = 2,
    kCreate = 4,
    kDirectory = 8,
    kExclusive = 16,
    kTruncate = 32,
    kFollow = 64,
    kAppend = 128,
    kDsync = 256,
    kSync = 512,
    kNonblock = 1024,
  };
  int32_t* out = in.ints(5, 2);
  if (out == nullptr) return EINVAL;
  GuestPath path;
  if (const int error = path.read(in.memory(0), in.u32(2), in.u32(3)); error != 0) return error;
  if (path.absolute()) return EPERM;
  const uint32_t wanted = in.u32(4);
  uint64_t flags = wanted & kWrite ? (wanted & kRead ? O_RDWR : O_WRONLY) : O_RDONLY;
  if (wanted & kCreate) flags |= O_CREAT;
  if (wanted & kDirectory) flags |= O_DIRECTORY;
  if (wanted & kExclusive) flags |= O_EXCL;
  if (wanted & kTruncate) flags |= O_TRUNC;
  if (!(wanted & kFollow)) flags |= O_NOFOLLOW;
  if (wanted & kAppend) flags |= O_APPEND;
  if (wanted & kDsync) flags |= O_DSYNC;
  if (wanted & kSync) flags |= O_SYNC;
  if (wanted & kNonblock) flags |= O_NONBLOCK;
  UniqueFd opened;
  if (const int error = openBeneath(in.i32(1), path.text(), flags, wanted & kCreate ? 0666 : 0, &opened);
      error != 0) {
    return error;
  }
  struct stat status;
  if (fstat(opened.get(), &status) < 0) return errno;
  out[0] = opened.release();
  out[1] = fileType(status.st_mode);
  return 0;
}

// wasiPathStat(memory, directory, follow, path, length, result, unstable)
int wasiPathStat(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  Target target;
  if (const int error = target.resolve(in.i32(1), memory, in.u32(3), in.u32(4)); error != 0) return error;
  struct stat status;
  bool follow = target.directoryWanted();
  if (!follow) {
    if (fstatat(target.parent(), target.name(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
    follow = S_ISLNK(status.st_mode) && in.i32(2) != 0;
  }
  if (follow) {
    UniqueFd found;
    if (const int error = target.openFollowing(&found); error != 0) return error;
    if (fstat(found.get(), &status) < 0) return errno;
  }
  storeStat(memory, in.u32(5), status, in.i32(6) != 0);
  return 0;
}

// wasiPathSetTimes(memory, directory, follow, path, length, atime, mtime, flags)
int wasiPathSetTimes(const Arguments& in) {
  timespec times[2];
  if (const int error = timesFrom(in.i64(5), in.i64(6), in.u32(7), times); error != 0) return error;
  Target target;
  if (const int error = target.resolve(in.i32(1), in.memory(0), in.u32(3), in.u32(4)); error != 0)
    return error;
  if (in.i32(2) == 0 && !target.directoryWanted()) {
    return result(utimensat(target.parent(), target.name(), times, AT_SYMLINK_NOFOLLOW));
  }
  UniqueFd found;
  if (const int error = target.openFollowing(&found); error != 0) return error;
  return result(utimensat(found.get(), "", times, AT_EMPTY_PATH));
}

// wasiPathMakeDirectory(memory, directory, path, length)
int wasiPathMakeDirectory(const Arguments& in) {
  Target target;
  if (const int error = target.resolve(in.i32(1), in.memory(0), in.u32(2), in.u32(3)); error != 0)
    return error;
  return result(mkdirat(target.parent(), target.name(), 0777));
}

// wasiPathRemove(memory, directory, path, length, isDirectory)
int wasiPathRemove(const Arguments& in) {
  Target target;
  if (const int error = target.resolve(in.i32(1), in.memory(0), in.u32(2), in.u32(3)); error != 0)
    return error;
  const int error = result(unlinkat(target.parent(), target.name(), in.i32(4) != 0 ? AT_REMOVEDIR : 0));
  if (error != ENOTDIR || !target.directoryWanted()) return error;
  // "link/" is what the link leads to, which is not removed by that name; but that it leads out comes first.
  UniqueFd found;
  return target.openFollowing(&found) == EPERM ? EPERM : ENOTDIR;
}

// wasiPathReadLink(memory, directory, path, length, buffer, size, result)
int wasiPathReadLink(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const uint32_t size = in.u32(5);
  uint8_t* buffer = memory.at(in.u32(4), size);
  memory.at(in.u32(6), 4);
  Target target;
  if (const int error = target.resolve(in.i32(1), memory, in.u32(2), in.u32(3)); error != 0) return error;
  if (target.directoryWanted()) {
    UniqueFd found;
    const int error = target.openFollowing(&found);
    return error != 0 ? error : EINVAL;
  }
  // readlinkat wants room for one byte at least; a guest that gives none gets none.
  char nowhere;
  const ssize_t length =
      size == 0 ? readlinkat(target.parent(), target.name(), &nowhere, 1)
                : readlinkat(target.parent(), target.name(), reinterpret_cast<char*>(buffer), size);
  if (length < 0) return errno;
  memory.store(in.u32(6), static_cast<uint32_t>(size == 0 ? 0 : length));
  return 0;
}

// wasiPathSymlink(memory, contents, contentsLength, directory, path, length). An absolute target would mean a
// file outside of every preopen, so it is refused.
int wasiPathSymlink(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  GuestPath contents;
  if (const int error = contents.read(memory, in.u32(1), in.u32(2)); error != 0) return error;
  if (contents.absolute()) return EPERM;
  Target target;
  if (const int error = target.resolve(in.i32(3), memory, in.u32(4), in.u32(5)); error != 0) return error;
  const int error = result(symlinkat(contents.text(), target.parent(), target.name()));
  if (error != EEXIST || !target.directoryWanted()) return error;
  // "file/" names no directory: POSIX wants that said first.
  UniqueFd found;
  return target.openFollowing(&found) == ENOTDIR ? ENOTDIR : EEXIST;
}

// wasiPathLink(memory, fromDirectory, fromPath, fromLength, toDirectory, toPath, toLength)
int wasiPathLink(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  Target from;
  if (const int error = from.resolve(in.i32(1), memory, in.u32(2), in.u32(3)); error != 0) return error;
  if (from.directoryWanted()) {
    UniqueFd found;
    const int error = from.openFollowing(&found);
    return error != 0 ? error : EPERM;
  }
  Target to;
  if (const int error = to.resolve(in.i32(4), memory, in.u32(5), in.u32(6)); error != 0) return error;
  return result(linkat(from.parent(), from.name(), to.parent(), to.name(), 0));
}

// wasiPathRename(memory, fromDirectory, fromPath, fromLength, toDirectory, toPath, toLength)
int wasiPathRename(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  Target from;
  if (const int error = from.resolve(in.i32(1), memory, in.u32(2), in.u32(3)); error != 0) return error;
  Target to;
  if (const int error = to.resolve(in.i32(4), memory, in.u32(5), in.u32(6)); error != 0) return error;
  return result(renameat(from.parent(), from.name(), to.parent(), to.name()));
}

}  // namespace

void exportPath(napi_env env, napi_value exports) {
  exportCall<wasiOpen>(env, exports, "wasiOpen");
  exportCall<wasiPathStat>(env, exports, "wasiPathStat");
  exportCall<wasiPathSetTimes>(env, exports, "wasiPathSetTimes");
  exportCall<wasiPathMakeDirectory>(env, exports, "wasiPathMakeDirectory");
  exportCall<wasiPathRemove>(env, exports, "wasiPathRemove");
  exportCall<wasiPathReadLink>(env, exports, "wasiPathReadLink");
  exportCall<wasiPathSymlink>(env, exports, "wasiPathSymlink");
  exportCall<wasiPathLink>(env, exports, "wasiPathLink");
  exportCall<wasiPathRename>(env, exports, "wasiPathRename");
}

}  // namespace tandem::wasi
