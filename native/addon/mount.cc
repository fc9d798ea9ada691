// Mounts and files of a bundle, seen from the shim: paths of an image are resolved by descriptor, never by string.
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
#include "sys/unique_fd.h"

namespace tandem {
namespace {

UniqueFd openInRoot(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  // The image wrote every symlink on this path: they may not lead out of the rootfs, nor through /proc's magic links.
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
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

Napi::Value readHeadInRoot(const Napi::CallbackInfo& info) {
  const std::string root = info[0].As<Napi::String>();
  const std::string path = info[1].As<Napi::String>();
  UniqueFd rootFd(checked(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  // O_NONBLOCK: the image may have put a FIFO there.
  UniqueFd file = openInRoot(rootFd.get(), path, O_RDONLY | O_NONBLOCK);
  if (!file) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV) return info.Env().Undefined();
    throw ErrnoError(errno, "openat2", path);
  }
  struct stat status {};
  checked(fstat(file.get(), &status), "fstat", path);
  if (!S_ISREG(status.st_mode)) return info.Env().Undefined();
  std::vector<char> head(info[2].As<Napi::Number>().Uint32Value());
  const ssize_t length = checked(pread(file.get(), head.data(), head.size(), 0), "pread", path);
  return Napi::Buffer<char>::Copy(info.Env(), head.data(), static_cast<size_t>(length));
}

Napi::Value openInRootFs(const Napi::CallbackInfo& info) {
  const std::string root = info[0].As<Napi::String>();
  const std::string path = info[1].As<Napi::String>();
  UniqueFd rootFd(checked(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC), "open", root));
  UniqueFd file = openInRoot(rootFd.get(), path, info[2].As<Napi::Number>().Uint32Value());
  checked(file.get(), "openat2", path);
  return Napi::Number::New(info.Env(), file.release());
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

}  // namespace

void exportMount(Napi::Object exports) {
  exportFunction<mountFs>(exports, "mount");
  exportFunction<unmountFs>(exports, "unmount");
  exportFunction<readHeadInRoot>(exports, "readHeadInRoot");
  exportFunction<openInRootFs>(exports, "openInRoot");
  exportFunction<makeFifo>(exports, "makeFifo");
  exportFunction<fifoPending>(exports, "fifoPending");
  exportFunction<resizeTerminal>(exports, "resizeTerminal");
}

}  // namespace tandem
