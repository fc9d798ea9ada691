#pragma once

#include <cstdint>
#include <span>

namespace tandem::wasm {

// What is not understood, or ends too early.
struct Unreadable {};

// Reads the binary format from front to back; never past its end.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  bool atEnd() const { return at_ == bytes_.size(); }
  size_t left() const { return bytes_.size() - at_; }

  uint8_t byte() {
    if (atEnd()) throw Unreadable();
    return bytes_[at_++];
  }
  std::span<const uint8_t> take(size_t count) {
    if (count > left()) throw Unreadable();
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  void skip(size_t count) { take(count); }

  uint32_t u32() {
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t next = byte();
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if ((next & 0x80) == 0) return static_cast<uint32_t>(value);
    }
    throw Unreadable();
  }
  // An integer of any width and sign whose value does not matter.
  void integer() {
    for (int i = 0; i < 10; i++)
      if ((byte() & 0x80) == 0) return;
    throw Unreadable();
  }
  void integers(int count) {
    for (int i = 0; i < count; i++) integer();
  }

 private:
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

}  // namespace tandem::wasm
