// Mounts and files of a bundle, seen from the shim: paths of an image are resolved by descriptor, never by
// string.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "addon/in_root.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// A descriptor that names a file and can do nothing else (O_PATH): what an image holds is not opened yet.
UniqueFd findInRoot(const std::string& root, const std::string& path, struct stat& status) {
  UniqueFd rootFd(checked(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  // The image wrote every symlink on this path: they may not lead out of the rootfs, nor through /proc's
  // magic links.
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd found(static_cast<int>(
      checked(syscall(SYS_openat2, rootFd.get(), path.c_str(), &how, sizeof how), "openat2", path)));
  checked(fstat(found.get(), &status), "fstat", path);
  return found;
}

// Only a regular file: to open whatever else an image may hold waits (a FIFO) or acts (a device).
UniqueFd openInRoot(const std::string& root, const std::string& path) {
  struct stat status {};
  const UniqueFd found = findInRoot(root, path, status);
  if (!S_ISREG(status.st_mode)) throw ErrnoError(S_ISDIR(status.st_mode) ? EISDIR : EINVAL, "openat2", path);
  // By what was looked at, not by its name again.
  const std::string self = "/proc/self/fd/" + std::to_string(found.get());
  return UniqueFd(checked(open(self.c_str(), O_RDONLY | O_CLOEXEC), "open", path));
}

Napi::Value mountFs(const Napi::CallbackInfo& info) {
  const std::string source = info[0].As<Napi::String>();
  const std::string target = info[1].As<Napi::String>();
  const std::string type = info[2].As<Napi::String>();
  const auto flags = static_cast<unsigned long>(info[3].As<Napi::Number>().Int64Value());
  const std::string data = info[4].As<Napi::String>();
  checked(mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags,
                data.empty() ? nullptr : data.c_str()),
          "mount", source + " on " + target);
  return info.Env().Undefined();
}

Napi::Value unmountFs(const Napi::CallbackInfo& info) {
  const std::string target = info[0].As<Napi::String>();
  // UMOUNT_NOFOLLOW: the last component belongs to the bundle, but a symlink there would lead anywhere.
  if (umount2(target.c_str(), info[1].As<Napi::Number>().Int32Value() | UMOUNT_NOFOLLOW) == 0)
    return Napi::Boolean::New(info.Env(), true);
  if (errno == EINVAL || errno == ENOENT) return Napi::Boolean::New(info.Env(), false);
  throw ErrnoError(errno, "umount2", target);
}

// What a path of an image may be without it being an error: not there, a loop, a way out, another kind.
bool isNothingToRead(const ErrnoError& error) {
  switch (error.code().value()) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:
    case EISDIR:
    case EINVAL:
      return true;
    default:
      return false;
  }
}

Napi::Value readHeadInRoot(const Napi::CallbackInfo& info) {
  const std::string path = info[1].As<Napi::String>();
  UniqueFd file;
  try {
    file = openInRoot(info[0].As<Napi::String>(), path);
  } catch (const ErrnoError& error) {
    if (isNothingToRead(error)) return info.Env().Undefined();
    throw;
  }
  std::vector<char> head(info[2].As<Napi::Number>().Uint32Value());
  const ssize_t length = checked(pread(file.get(), head.data(), head.size(), 0), "pread", path);
  return Napi::Buffer<char>::Copy(info.Env(), head.data(), static_cast<size_t>(length));
}

Napi::Value modeInRoot(const Napi::CallbackInfo& info) {
  struct stat status {};
  try {
    findInRoot(info[0].As<Napi::String>(), info[1].As<Napi::String>(), status);
  } catch (const ErrnoError& error) {
    if (isNothingToRead(error)) return info.Env().Undefined();
    throw;
  }
  return Napi::Number::New(info.Env(), status.st_mode);
}

Napi::Value openInRootFs(const Napi::CallbackInfo& info) {
  UniqueFd file = openInRoot(info[0].As<Napi::String>(), info[1].As<Napi::String>());
  return Napi::Number::New(info.Env(), file.release());
}

Napi::Value makeDirectoryInRoot(const Napi::CallbackInfo& info) {
  const std::string root = info[0].As<Napi::String>();
  UniqueFd rootFd(checked(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  UniqueFd made = makeInRoot(rootFd.get(), info[1].As<Napi::String>(), true);
  return Napi::Number::New(info.Env(), made.release());
}

Napi::Value makeFifo(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  checked(mkfifo(path.c_str(), 0600), "mkfifo", path);
  return info.Env().Undefined();
}

Napi::Value fifoPending(const Napi::CallbackInfo& info) {
  int bytes = 0;
  checked(ioctl(info[0].As<Napi::Number>().Int32Value(), FIONREAD, &bytes), "ioctl", "FIONREAD");
  return Napi::Number::New(info.Env(), bytes);
}

Napi::Value resizeTerminal(const Napi::CallbackInfo& info) {
  winsize size{};
  size.ws_col = static_cast<unsigned short>(info[1].As<Napi::Number>().Uint32Value());
  size.ws_row = static_cast<unsigned short>(info[2].As<Napi::Number>().Uint32Value());
  checked(ioctl(info[0].As<Napi::Number>().Int32Value(), TIOCSWINSZ, &size), "ioctl", "TIOCSWINSZ");
  return info.Env().Undefined();
}

Napi::Value openTerminalPeer(const Napi::CallbackInfo& info) {
  // By descriptor: its name would be looked up in our own mount namespace (tty_ioctl(2), Linux 4.13).
  const int peer =
      checked(ioctl(info[0].As<Napi::Number>().Int32Value(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC),
              "ioctl", "TIOCGPTPEER");
  return Napi::Number::New(info.Env(), peer);
}

}  // namespace

void exportMount(Napi::Object exports) {
  exportFunction<mountFs>(exports, "mount");
  exportFunction<unmountFs>(exports, "unmount");
  exportFunction<readHeadInRoot>(exports, "readHeadInRoot");
  exportFunction<modeInRoot>(exports, "modeInRoot");
  exportFunction<openInRootFs>(exports, "openInRoot");
  exportFunction<makeDirectoryInRoot>(exports, "makeDirectoryInRoot");
  exportFunction<makeFifo>(exports, "makeFifo");
  exportFunction<fifoPending>(exports, "fifoPending");
  exportFunction<resizeTerminal>(exports, "resizeTerminal");
  exportFunction<openTerminalPeer>(exports, "openTerminalPeer");
}

}  // namespace tandem
