#pragma once

#include <node_api.h>

#include <cstdint>
#include <cstring>

// What the functions of the WASI 0.1 host share: reading their arguments, the guest's memory and its errno
// numbers. They are called for every read, write and stat of a guest, so they speak plain Node-API, allocate
// nothing and return a number: 0 or a WASI errno.
namespace tandem::wasi {

// A pointer of the guest that leads out of its memory; becomes WASI's `fault`.
struct Fault {};

// The guest's linear memory for the time of one call. Every access is checked against its size.
class GuestMemory {
 public:
  GuestMemory(uint8_t* data, size_t size) : data_(data), size_(size) {}

  uint8_t* at(uint32_t offset, size_t length) const {
    if (length > size_ || offset > size_ - length) throw Fault();
    return data_ + offset;
  }

  template <typename T>
  T load(uint32_t offset) const {
    T value;
    memcpy(&value, at(offset, sizeof value), sizeof value);
    return value;
  }

  template <typename T>
  void store(uint32_t offset, T value) const {
    memcpy(at(offset, sizeof value), &value, sizeof value);
  }

 private:
  uint8_t* data_;
  size_t size_;
};

// The arguments of one call. The guest's i32 arrive as numbers, its i64 as BigInts.
class Arguments {
 public:
  Arguments(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = sizeof values_ / sizeof values_[0];
    napi_get_cb_info(env, info, &count, values_, nullptr, nullptr);
  }

  int32_t i32(int index) const {
    int32_t value = 0;
    napi_get_value_int32(env_, values_[index], &value);
    return value;
  }
  uint32_t u32(int index) const { return static_cast<uint32_t>(i32(index)); }

  int64_t i64(int index) const {
    int64_t value = 0;
    bool lossless = false;
    napi_get_value_bigint_int64(env_, values_[index], &value, &lossless);
    return value;
  }

  // A Uint8Array over the whole memory.
  GuestMemory memory(int index) const {
    void* data = nullptr;
    size_t size = 0;
    napi_get_typedarray_info(env_, values_[index], nullptr, &size, &data, nullptr, nullptr);
    return GuestMemory(static_cast<uint8_t*>(data), size);
  }

  // An Int32Array of the host with at least `length` elements; nullptr otherwise.
  int32_t* ints(int index, size_t length) const {
    void* data = nullptr;
    size_t count = 0;
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env_, values_[index], &type, &count, &data, nullptr, nullptr) != napi_ok)
      return nullptr;
    return type == napi_int32_array && count >= length ? static_cast<int32_t*>(data) : nullptr;
  }

  // A BigInt64Array of the host; nullptr otherwise.
  int64_t* longs(int index) const {
    void* data = nullptr;
    size_t count = 0;
    napi_typedarray_type type;
    if (napi_get_typedarray_info(env_, values_[index], &type, &count, &data, nullptr, nullptr) != napi_ok)
      return nullptr;
    return type == napi_bigint64_array && count > 0 ? static_cast<int64_t*>(data) : nullptr;
  }

 private:
  napi_env env_;
  napi_value values_[10] = {};
};

// The one table from Linux's errno to WASI's. A resolution that would leave its directory (EXDEV of openat2)
// is made an EPERM where it happens.
uint32_t toWasiErrno(int error);

// Runs one function, which returns 0 or a Linux errno.
template <int (*Function)(const Arguments&)>
napi_value call(napi_env env, napi_callback_info info) {
  int error = 0;
  try {
    error = Function(Arguments(env, info));
  } catch (const Fault&) {
    error = 14;  // EFAULT
  }
  napi_value result = nullptr;
  napi_create_uint32(env, error == 0 ? 0 : toWasiErrno(error), &result);
  return result;
}

template <int (*Function)(const Arguments&)>
void exportCall(napi_env env, napi_value exports, const char* name) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, call<Function>, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

}  // namespace tandem::wasi
