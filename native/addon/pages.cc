// Which pages a process has made its own since it was forked, and how another fork gets the same ones in a
// batch, ahead of need.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace tandem {
namespace {

constexpr uint64_t pageSize = 4096;
// proc_pid_pagemap(5)
constexpr uint64_t present = 1ULL << 63;
constexpr uint64_t fileOrShared = 1ULL << 61;
constexpr uint64_t exclusive = 1ULL << 56;

struct Range {
  uint64_t start;
  uint64_t end;
  uint64_t written;
};

struct Mapping {
  uint64_t start, end;
  bool writable, isPrivate;
};

std::vector<Mapping> readMappings() {
  std::unique_ptr<FILE, int (*)(FILE*)> maps(fopen("/proc/self/maps", "re"), fclose);
  if (!maps) throw ErrnoError(errno, "open", "/proc/self/maps");
  std::vector<Mapping> mappings;
  char line[512];
  while (fgets(line, sizeof line, maps.get()) != nullptr) {
    unsigned long start = 0, end = 0;
    char flags[5] = {};
    if (sscanf(line, "%lx-%lx %4s", &start, &end, flags) != 3) continue;
    if (strstr(line, "[v") != nullptr || flags[0] != 'r') continue;
    mappings.push_back({start, end, flags[1] == 'w', flags[3] == 'p'});
  }
  return mappings;
}

void addPage(std::vector<Range>& ranges, uint64_t address, bool written) {
  if (!ranges.empty() && ranges.back().end == address &&
      ranges.back().written == static_cast<uint64_t>(written)) {
    ranges.back().end += pageSize;
    return;
  }
  ranges.push_back({address, address + pageSize, written});
}

// [start, end, written?] of every run of pages that this process uses and did not simply inherit.
Napi::Value ownPages(const Napi::CallbackInfo& info) {
  UniqueFd pagemap(checked(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), "open", "/proc/self/pagemap"));
  std::vector<Range> ranges;
  std::vector<uint64_t> entries;
  for (const Mapping& mapping : readMappings()) {
    const uint64_t count = (mapping.end - mapping.start) / pageSize;
    // V8's code range and the like: reserved, hardly used.
    if (count > 65536 || !mapping.isPrivate) continue;
    entries.resize(count);
    const ssize_t length = pread(pagemap.get(), entries.data(), count * sizeof(uint64_t),
                                 static_cast<off_t>(mapping.start / pageSize * 8));
    if (length < 0) continue;
    for (uint64_t i = 0; i < static_cast<uint64_t>(length) / 8; i++) {
      const uint64_t entry = entries[i];
      if ((entry & present) == 0) continue;
      const bool fromFile = (entry & fileOrShared) != 0;
      // Copied on write since the fork, or a page of a file that this process has looked at: fork leaves
      // those out.
      if (fromFile ? !mapping.writable : mapping.writable && (entry & exclusive) != 0)
        addPage(ranges, mapping.start + i * pageSize, !fromFile);
    }
  }
  return Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<char*>(ranges.data()),
                                  ranges.size() * sizeof(Range));
}

// The runs of pages that are in both of two sorted lists.
Napi::Value commonPages(const Napi::CallbackInfo& info) {
  auto left = info[0].As<Napi::Buffer<char>>();
  auto right = info[1].As<Napi::Buffer<char>>();
  const auto* a = reinterpret_cast<const Range*>(left.Data());
  const auto* b = reinterpret_cast<const Range*>(right.Data());
  const Range* endA = a + left.Length() / sizeof(Range);
  const Range* endB = b + right.Length() / sizeof(Range);
  std::vector<Range> ranges;
  while (a < endA && b < endB) {
    const uint64_t start = std::max(a->start, b->start);
    const uint64_t end = std::min(a->end, b->end);
    if (start < end) ranges.push_back({start, end, a->written & b->written});
    if (a->end < b->end)
      a++;
    else
      b++;
  }
  return Napi::Buffer<char>::Copy(info.Env(), reinterpret_cast<char*>(ranges.data()),
                                  ranges.size() * sizeof(Range));
}

// Best effort: a range that is not there any more is left out, and faults one by one if it is needed after
// all.
Napi::Value populatePages(const Napi::CallbackInfo& info) {
  auto data = info[0].As<Napi::Buffer<char>>();
  const auto* ranges = reinterpret_cast<const Range*>(data.Data());
  for (size_t i = 0; i < data.Length() / sizeof(Range); i++) {
    const Range& range = ranges[i];
    madvise(reinterpret_cast<void*>(range.start), range.end - range.start,
            range.written != 0 ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  }
  return info.Env().Undefined();
}

}  // namespace

void exportPages(Napi::Object exports) {
  exportFunction<ownPages>(exports, "ownPages");
  exportFunction<commonPages>(exports, "commonPages");
  exportFunction<populatePages>(exports, "populatePages");
}

}  // namespace tandem
