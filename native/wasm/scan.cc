#include "wasm/scan.h"

#include <algorithm>
#include <tuple>

#include "wasm/body.h"
#include "wasm/reader.h"

namespace tandem::wasm {
namespace {

constexpr size_t preambleLength = 8;
// V8 takes no more.
constexpr uint32_t maxFunctions = 1'000'000;

enum Section : uint8_t { import = 2, function = 3, exports = 7, start = 8, elements = 9, code = 10 };

struct Function {
  size_t size = 0;
  uint32_t loopDepth = 0;
  // Direct calls of it.
  uint32_t calls = 0;
  bool calledInLoop = false;
  // From a table, by the host, or as the start function.
  bool calledFromElsewhere = false;
};

void skipName(Reader& in) {
  in.skip(in.u32());
}

void skipLimits(Reader& in) {
  const uint8_t flags = in.byte();
  in.integers((flags & 1) != 0 ? 2 : 1);
  constexpr uint8_t hasPageSize = 8;
  if ((flags & hasPageSize) != 0) in.integer();
}

void skipReferenceType(Reader& in) {
  const uint8_t type = in.byte();
  if (type == 0x63 || type == 0x64) in.integer();
}

uint32_t countImports(Reader in) {
  uint32_t functions = 0;
  for (uint32_t count = in.u32(); count > 0; count--) {
    skipName(in);
    skipName(in);
    switch (in.byte()) {
      case 0:
        in.integer();
        functions++;
        break;
      case 1:
        skipReferenceType(in);
        skipLimits(in);
        break;
      case 2:
        skipLimits(in);
        break;
      case 3:
        skipReferenceType(in);
        in.skip(1);
        break;
      case 4:
        in.integers(2);
        break;
      default:
        throw Unreadable();
    }
  }
  return functions;
}

class Scanner {
 public:
  explicit Scanner(size_t budget) : budget_(budget) {}

  Scan scan(std::span<const uint8_t> bytes) {
    Reader in(bytes);
    in.skip(preambleLength);
    while (!in.atEnd()) {
      const uint8_t id = in.byte();
      section(id, in.take(in.u32()));
    }
    choose();
    return std::move(result_);
  }

 private:
  void section(uint8_t id, std::span<const uint8_t> bytes) {
    Reader in(bytes);
    switch (id) {
      case Section::import:
        result_.imports = countImports(in);
        break;
      case Section::function:
        result_.functions = in.u32();
        if (result_.functions > maxFunctions) throw Unreadable();
        if (budget_ > 0) functions_.resize(result_.functions);
        break;
      case Section::exports:
        readExports(in);
        break;
      case Section::start:
        reach(in.u32());
        break;
      case Section::elements:
        readElements(in);
        break;
      case Section::code:
        result_.codeBytes = bytes.size();
        readCode(in);
        break;
      default:
        break;
    }
  }

  Function* own(uint32_t index) {
    if (index < result_.imports || index - result_.imports >= functions_.size()) return nullptr;
    return &functions_[index - result_.imports];
  }

  void reach(uint32_t index) {
    if (Function* function = own(index)) function->calledFromElsewhere = true;
  }

  void readExports(Reader in) {
    for (uint32_t count = in.u32(); count > 0; count--) {
      skipName(in);
      const uint8_t kind = in.byte();
      const uint32_t index = in.u32();
      if (kind == 0) reach(index);
    }
  }

  // Only the form that compilers write for tables of functions: an offset that is a constant, then indices.
  // What comes after another form is not looked at, and such a function counts as never called.
  void readElements(Reader in) {
    for (uint32_t count = in.u32(); count > 0; count--) {
      if (in.u32() != 0) return;
      const uint8_t constant = in.byte();
      if (constant != 0x41 && constant != 0x42 && constant != 0x23) return;
      in.integer();
      if (in.byte() != 0x0b) return;
      for (uint32_t length = in.u32(); length > 0; length--) reach(in.u32());
    }
  }

  void readCode(Reader in) {
    if (functions_.empty()) return;
    const uint32_t count = in.u32();
    for (uint32_t i = 0; i < count && i < functions_.size(); i++) {
      const auto body = in.take(in.u32());
      functions_[i].size = body.size();
      functions_[i].loopDepth = loopDepthOf(body);
    }
  }

  // 0 for a function that is not understood: it is not chosen.
  uint32_t loopDepthOf(std::span<const uint8_t> body) {
    try {
      const OnCall onCall = [this](uint32_t called, uint32_t loopDepth) { noteCall(called, loopDepth); };
      return readBody(body, onCall).loopDepth;
    } catch (const Unreadable&) {
      return 0;
    }
  }

  void noteCall(uint32_t called, uint32_t loopDepth) {
    Function* function = own(called);
    if (function == nullptr) return;
    function->calls++;
    function->calledInLoop |= loopDepth > 0;
  }

  void choose() {
    std::vector<uint32_t> candidates;
    for (uint32_t i = 0; i < functions_.size(); i++) {
      const Function& function = functions_[i];
      const bool once = function.calls == 1 || (function.calls == 0 && function.calledFromElsewhere);
      if (function.loopDepth > 0 && once) candidates.push_back(i);
    }
    std::sort(candidates.begin(), candidates.end(), [this](uint32_t left, uint32_t right) {
      const auto rank = [this](uint32_t i) {
        const Function& function = functions_[i];
        return std::tuple(function.calledInLoop, ~function.loopDepth, function.size, i);
      };
      return rank(left) < rank(right);
    });
    size_t left = budget_;
    for (const uint32_t i : candidates) {
      if (functions_[i].size > left) continue;
      left -= functions_[i].size;
      result_.chosen.push_back(i);
    }
  }

  const size_t budget_;
  Scan result_;
  std::vector<Function> functions_;
};

}  // namespace

std::optional<Scan> scanModule(std::span<const uint8_t> bytes, size_t budget) {
  try {
    return Scanner(budget).scan(bytes);
  } catch (const Unreadable&) {
    return std::nullopt;
  }
}

}  // namespace tandem::wasm
