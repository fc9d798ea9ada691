#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tandem::wasm {

struct Scan {
  // Functions that it imports, and functions that it has itself.
  uint32_t imports = 0;
  uint32_t functions = 0;
  // Of the code section.
  size_t codeBytes = 0;
  // Which of its own functions one call may keep busy for long; numbers without the imports.
  std::vector<uint32_t> chosen;
};

// Looks through a valid module. Chosen are functions with a loop that nothing calls more than once: what is
// called often, V8 sees to itself, at the second call. Those with the deepest loops come first, as many as
// fit in `budget` bytes; 0 looks at no function at all. Nothing when a section is not understood.
std::optional<Scan> scanModule(std::span<const uint8_t> bytes, size_t budget);

}  // namespace tandem::wasm
