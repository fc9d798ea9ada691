// Files as memory, and as locks.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {
namespace {

Napi::Value mapFile(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  struct stat status {};
  checked(fstat(fd, &status), "fstat");
  const auto size = static_cast<size_t>(status.st_size);
  if (size == 0) return Napi::ArrayBuffer::New(info.Env(), 0);
  // All of it will be read, and a page that is in memory already costs a hundredth of a fault this way.
  void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED) throw ErrnoError(errno, "mmap");
  return Napi::ArrayBuffer::New(info.Env(), data, size);
}

Napi::Value unmapFile(const Napi::CallbackInfo& info) {
  auto buffer = info[0].As<Napi::ArrayBuffer>();
  void* data = buffer.Data();
  const size_t size = buffer.ByteLength();
  if (size == 0) return info.Env().Undefined();
  buffer.Detach();
  checked(munmap(data, size), "munmap");
  return info.Env().Undefined();
}

Napi::Value lockFile(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const bool wait = info[1].As<Napi::Object>().Get("wait").ToBoolean();
  int result;
  do {
    // Of the open file: the kernel lets go of it with its last descriptor, however that ends.
    result = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno != EWOULDBLOCK) throw ErrnoError(errno, "flock");
  return Napi::Boolean::New(info.Env(), result == 0);
}

}  // namespace

void exportFile(Napi::Object exports) {
  exportFunction<mapFile>(exports, "mapFile");
  exportFunction<unmapFile>(exports, "unmapFile");
  exportFunction<lockFile>(exports, "lockFile");
}

}  // namespace tandem
