#pragma once

#include <sys/types.h>

#include <cstdint>
#include <cstring>

#include "init/steps.h"

namespace tandem {

// Reads the fields of one step. The plan comes from the shim, so a malformed one is a bug, not an attack: it
// ends the process, with a word about it and without reading past the end.
class Fields {
 public:
  Fields(const char* at, const char* end) : at_(at), end_(end) {}

  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }
  bool flag() { return u32() != 0; }
  const char* text() {
    const size_t length = u32();
    const char* result = take(length + 1);
    if (result[length] != 0) malformed("text without end");
    return result;
  }
  // A NULL-terminated array, as execve wants it. Lives as long as the process.
  char** list();
  const void* bytes(uint32_t* length) {
    *length = u32();
    return take(*length);
  }

 private:
  template <typename T>
  T number() {
    T value;
    memcpy(&value, take(sizeof value), sizeof value);
    return value;
  }
  const char* take(size_t length);
  [[noreturn]] static void malformed(const char* what);

  const char* at_;
  const char* end_;
};

// In place of the index of a descriptor: there is none.
constexpr uint32_t noDescriptor = 0xffffffff;
// In place of the socket on which the start comes: nobody has to say so.
constexpr uint32_t atOnce = 0xfffffffe;

// A plan that the shim sent: mapped read-only, with the descriptors that came along.
struct Plan {
  const char* begin = nullptr;
  const char* end = nullptr;
  int fds[250];  // SCM_MAX_FD is 253
  uint32_t fdCount = 0;

  int fd(uint32_t index) const;
};

}  // namespace tandem
