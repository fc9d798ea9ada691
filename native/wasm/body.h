#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace tandem::wasm {

// What a function's body shows of how long a call of it may last.
struct Body {
  // Loops within loops.
  uint32_t loopDepth = 0;
};

// A direct call, and within how many loops it stands.
using OnCall = std::function<void(uint32_t function, uint32_t loopDepth)>;

// Reads one function of a valid module: locals and expression. Throws Unreadable at an instruction that it
// does not know.
Body readBody(std::span<const uint8_t> bytes, const OnCall& onCall);

}  // namespace tandem::wasm
