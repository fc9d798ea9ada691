// Images of guests' linear memories. An instance that shares an image has it mapped privately in the place of
// its own memory: what it writes are copies of pages, and it is put back to its first state by dropping
// those.
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {
namespace {

// A run of pages.
struct Run {
  size_t start;
  size_t length;
};

class MemoryImage {
 public:
  // A copy of `size` bytes at the end of a file in memory, which is the caller's to keep open, and to leave
  // as it is.
  MemoryImage(int fd, const uint8_t* bytes, size_t size) : size_(size), fd_(fd) {
    struct stat file = {};
    checked(fstat(fd, &file), "fstat", kName);
    offset_ = file.st_size;
    checked(ftruncate(fd, offset_ + static_cast<off_t>((size + page_ - 1) / page_ * page_)), "ftruncate",
            kName);
    for (size_t start = 0; start < size; start += page_) write(bytes, start);
    void* place = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, offset_);
    if (place == MAP_FAILED) throw ErrnoError(errno, "mmap", kName);
    pristine_ = static_cast<const uint8_t*>(place);
    size_t filled = 0;
    for (const Run& run : filled_) filled += run.length;
    if (filled > kAlwaysCopied * page_) filled_.clear();
    hot_ = filled_;
  }

  MemoryImage(const MemoryImage&) = delete;
  MemoryImage& operator=(const MemoryImage&) = delete;
  ~MemoryImage() { munmap(const_cast<uint8_t*>(pristine_), size_); }

  size_t size() const { return size_; }

  // Maps the image over memory that holds the same bytes; false when it does not.
  bool adopt(uint8_t* memory) const {
    if (memcmp(memory, pristine_, size_) != 0) return false;
    // MAP_FIXED: in the place of V8's own pages, whose reservation and guard pages around it stay as they
    // are.
    if (mmap(memory, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd_, offset_) == MAP_FAILED)
      throw ErrnoError(errno, "mmap", kName);
    return true;
  }

  // Puts memory back that has adopted the image. Pages that are written in each round are copied, which is
  // twenty times cheaper than to drop them and to fault them in again; which these are is looked at now and
  // then. All others are dropped, whether they were written or not.
  void restore(uint8_t* memory) {
    rounds_++;
    if ((rounds_ & (rounds_ - 1)) == 0 || rounds_ % kLookEvery == 0) learn(memory);
    size_t next = 0;
    for (const Run& run : hot_) {
      drop(memory, next, run.start);
      memcpy(memory + run.start, pristine_ + run.start, run.length);
      next = run.start + run.length;
    }
    drop(memory, next, size_);
  }

 private:
  static constexpr const char* kName = "image of a memory";
  static constexpr size_t kAlwaysCopied = 32;  // pages
  static constexpr uint64_t kLookEvery = 1024;
  // Copying a few pages in between is cheaper than another madvise.
  static constexpr size_t kBridged = 4;

  // Pages of zeros are holes.
  void write(const uint8_t* bytes, size_t start) {
    const size_t length = std::min(page_, size_ - start);
    const uint8_t* page = bytes + start;
    if (page[0] == 0 && memcmp(page, page + 1, length - 1) == 0) return;
    checked(pwrite(fd_, page, length, offset_ + static_cast<off_t>(start)), "pwrite", kName);
    add(filled_, start, length);
  }

  void learn(const uint8_t* memory) {
    std::vector<Run> hot;
    auto filled = filled_.begin();
    for (size_t start = 0; start < size_; start += page_) {
      const size_t length = std::min(page_, size_ - start);
      while (filled != filled_.end() && filled->start + filled->length <= start) ++filled;
      const bool read = filled != filled_.end() && filled->start <= start;
      if (read || memcmp(memory + start, pristine_ + start, length) != 0) add(hot, start, length);
    }
    hot_ = std::move(hot);
  }

  void add(std::vector<Run>& runs, size_t start, size_t length) {
    if (!runs.empty() && start - (runs.back().start + runs.back().length) < kBridged * page_)
      runs.back().length = start + length - runs.back().start;
    else
      runs.push_back({start, length});
  }

  static void drop(uint8_t* memory, size_t start, size_t end) {
    if (start < end) checked(madvise(memory + start, end - start, MADV_DONTNEED), "madvise", kName);
  }

  const size_t page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t size_;
  int fd_;
  off_t offset_ = 0;
  const uint8_t* pristine_ = nullptr;
  // Pages that are not all zeros, when they are few: likely to be read in each round.
  std::vector<Run> filled_;
  // What is copied.
  std::vector<Run> hot_;
  uint64_t rounds_ = 0;
};

MemoryImage& imageOf(const Napi::CallbackInfo& info) {
  return *info[0].As<Napi::External<MemoryImage>>().Data();
}

// The memory behind an ArrayBuffer; throws unless it has the image's size.
uint8_t* memoryOf(const Napi::CallbackInfo& info, const MemoryImage& image) {
  Napi::ArrayBuffer buffer = info[1].As<Napi::ArrayBuffer>();
  if (buffer.ByteLength() != image.size())
    throw ErrnoError(EINVAL, "mmap", "a memory of " + std::to_string(buffer.ByteLength()) + " bytes");
  return static_cast<uint8_t*>(buffer.Data());
}

// createMemoryImage(fd, buffer)
Napi::Value createMemoryImage(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  Napi::ArrayBuffer buffer = info[1].As<Napi::ArrayBuffer>();
  auto* image = new MemoryImage(fd, static_cast<const uint8_t*>(buffer.Data()), buffer.ByteLength());
  return Napi::External<MemoryImage>::New(info.Env(), image, [](Napi::Env, MemoryImage* one) { delete one; });
}

// adoptMemoryImage(image, buffer)
Napi::Value adoptMemoryImage(const Napi::CallbackInfo& info) {
  const MemoryImage& image = imageOf(info);
  return Napi::Boolean::New(info.Env(), image.adopt(memoryOf(info, image)));
}

// restoreMemory(image, buffer)
Napi::Value restoreMemory(const Napi::CallbackInfo& info) {
  MemoryImage& image = imageOf(info);
  image.restore(memoryOf(info, image));
  return info.Env().Undefined();
}

}  // namespace

void exportMemoryImage(Napi::Object exports) {
  exportFunction<createMemoryImage>(exports, "createMemoryImage");
  exportFunction<adoptMemoryImage>(exports, "adoptMemoryImage");
  exportFunction<restoreMemory>(exports, "restoreMemory");
}

}  // namespace tandem
