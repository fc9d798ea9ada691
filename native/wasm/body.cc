// Instructions are read for their lengths (core specification 3.0, 5.4); only blocks and calls mean anything
// here.
#include "wasm/body.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

#include "wasm/reader.h"

namespace tandem::wasm {
namespace {

// What follows an opcode of one byte.
enum class Kind : uint8_t {
  unknown,
  none,
  integer,
  twoIntegers,
  memory,
  fourBytes,
  eightBytes,
  types,
  labels,
  block,
  loop,
  tryTable,
  delegate,
  end,
  call,
  gc,
  miscellaneous,
  vector,
  atomic,
};

using Kinds = std::array<Kind, 256>;

constexpr void set(Kinds& kinds, Kind kind, std::initializer_list<uint8_t> opcodes) {
  for (const uint8_t opcode : opcodes) kinds[opcode] = kind;
}

constexpr Kinds makeKinds() {
  Kinds kinds{};
  for (int opcode = 0x28; opcode <= 0x3e; opcode++) kinds[opcode] = Kind::memory;
  for (int opcode = 0x45; opcode <= 0xc4; opcode++) kinds[opcode] = Kind::none;
  set(kinds, Kind::none, {0x00, 0x01, 0x05, 0x0a, 0x0f, 0x19, 0x1a, 0x1b, 0xd1, 0xd3, 0xd4});
  set(kinds, Kind::integer, {0x07, 0x08, 0x09, 0x0c, 0x0d, 0x14, 0x15, 0x20, 0x21, 0x22, 0x23,
                             0x24, 0x25, 0x26, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2, 0xd5, 0xd6});
  set(kinds, Kind::twoIntegers, {0x11, 0x13});
  set(kinds, Kind::block, {0x02, 0x04, 0x06});  // block, if, try
  set(kinds, Kind::call, {0x10, 0x12});
  kinds[0x03] = Kind::loop;
  kinds[0x0b] = Kind::end;
  kinds[0x0e] = Kind::labels;
  kinds[0x18] = Kind::delegate;
  kinds[0x1c] = Kind::types;
  kinds[0x1f] = Kind::tryTable;
  kinds[0x43] = Kind::fourBytes;
  kinds[0x44] = Kind::eightBytes;
  kinds[0xfb] = Kind::gc;
  kinds[0xfc] = Kind::miscellaneous;
  kinds[0xfd] = Kind::vector;
  kinds[0xfe] = Kind::atomic;
  return kinds;
}

constexpr Kinds kinds = makeKinds();

bool isOneOf(uint32_t op, std::initializer_list<uint32_t> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

// Alignment, a memory's index where its bit says so, offset.
void skipMemoryArgument(Reader& in) {
  constexpr uint32_t hasMemory = 0x40;
  if ((in.u32() & hasMemory) != 0) in.integer();
  in.integer();
}

// A value type, a type's index or nothing: an index of more than one byte shows in its highest bit.
void skipBlockType(Reader& in) {
  const uint8_t first = in.byte();
  constexpr uint8_t refNull = 0x63, ref = 0x64;
  if (first == refNull || first == ref || (first & 0x80) != 0) in.integer();
}

void skipGc(Reader& in) {
  const uint32_t op = in.u32();
  if (op == 24 || op == 25) {  // br_on_cast: flags, a label, two types
    in.skip(1);
    in.integers(3);
  } else if ((op >= 2 && op <= 5) || isOneOf(op, {8, 9, 10, 17, 18, 19})) {
    in.integers(2);
  } else if (op <= 23 && op != 15) {
    in.integers(1);
  } else if (op > 30) {
    throw Unreadable();
  }
}

// Saturating conversions, bulk memory and tables, wide arithmetic.
void skipMiscellaneous(Reader& in) {
  const uint32_t op = in.u32();
  if (isOneOf(op, {8, 10, 12, 14}))
    in.integers(2);
  else if (op >= 9 && op <= 17)
    in.integers(1);
  else if (op == 18 || op > 22)
    throw Unreadable();
}

// The relaxed ones end at 0x113.
void skipVector(Reader& in) {
  const uint32_t op = in.u32();
  const bool lanes = op >= 84 && op <= 91;
  if (op <= 11 || op == 92 || op == 93 || lanes) skipMemoryArgument(in);
  if (op == 12 || op == 13) in.skip(16);
  if ((op >= 21 && op <= 34) || lanes) in.skip(1);
  if (op > 0x113) throw Unreadable();
}

void skipAtomic(Reader& in) {
  constexpr uint32_t fence = 3;
  if (in.u32() == fence)
    in.skip(1);
  else
    skipMemoryArgument(in);
}

void skipCatches(Reader& in) {
  for (uint32_t count = in.u32(); count > 0; count--) in.integers(in.byte() < 2 ? 2 : 1);
}

class BodyReader {
 public:
  BodyReader(std::span<const uint8_t> bytes, const OnCall& onCall) : in_(bytes), onCall_(onCall) {}

  Body read() {
    for (uint32_t count = in_.u32(); count > 0; count--) {
      in_.integer();
      skipBlockType(in_);
    }
    while (!in_.atEnd()) instruction();
    return body_;
  }

 private:
  void open(bool loop) {
    isLoop_.push_back(loop);
    if (loop) body_.loopDepth = std::max(body_.loopDepth, ++loops_);
  }

  void close() {
    if (isLoop_.empty()) return;  // the function's own end
    if (isLoop_.back()) loops_--;
    isLoop_.pop_back();
  }

  void instruction() {
    switch (const Kind kind = kinds[in_.byte()]) {
      case Kind::none:
        return;
      case Kind::integer:
        return in_.integer();
      case Kind::twoIntegers:
        return in_.integers(2);
      case Kind::memory:
        return skipMemoryArgument(in_);
      case Kind::fourBytes:
        return in_.skip(4);
      case Kind::eightBytes:
        return in_.skip(8);
      case Kind::types:
        for (uint32_t count = in_.u32(); count > 0; count--) skipBlockType(in_);
        return;
      case Kind::labels:
        for (uint32_t count = in_.u32(); count > 0; count--) in_.integer();
        return in_.integer();
      case Kind::block:
      case Kind::loop:
        skipBlockType(in_);
        return open(kind == Kind::loop);
      case Kind::tryTable:
        skipBlockType(in_);
        skipCatches(in_);
        return open(false);
      case Kind::delegate:
        in_.integer();
        return close();
      case Kind::end:
        return close();
      case Kind::call:
        return onCall_(in_.u32(), loops_);
      case Kind::gc:
        return skipGc(in_);
      case Kind::miscellaneous:
        return skipMiscellaneous(in_);
      case Kind::vector:
        return skipVector(in_);
      case Kind::atomic:
        return skipAtomic(in_);
      case Kind::unknown:
        throw Unreadable();
    }
  }

  Reader in_;
  const OnCall& onCall_;
  Body body_;
  std::vector<bool> isLoop_;
  uint32_t loops_ = 0;
};

}  // namespace

Body readBody(std::span<const uint8_t> bytes, const OnCall& onCall) {
  return BodyReader(bytes, onCall).read();
}

}  // namespace tandem::wasm
