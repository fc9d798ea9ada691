// Reading, writing and waiting of the WASI 0.1 host: one call of the guest is one system call on its own
// memory.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "addon/groups.h"
#include "addon/wasi_groups.h"
#include "addon/wasi_guest.h"

namespace tandem::wasi {
namespace {

// The guest's iovecs as the kernel wants them. More than fit are left for the guest's next call, as after a
// short write.
class Vectors {
 public:
  Vectors(const GuestMemory& memory, uint32_t offset, uint32_t count) : count_(std::min(count, kMost)) {
    const uint8_t* guest = memory.at(offset, size_t{count} * 8);
    for (uint32_t i = 0; i < count_; i++) {
      uint32_t pair[2];
      memcpy(pair, guest + i * 8, sizeof pair);
      vectors_[i] = {memory.at(pair[0], pair[1]), pair[1]};
    }
  }

  const iovec* data() const { return vectors_; }
  iovec* data() { return vectors_; }
  int count() const { return static_cast<int>(count_); }

  int64_t length() const {
    int64_t sum = 0;
    for (uint32_t i = 0; i < count_; i++) sum += static_cast<int64_t>(vectors_[i].iov_len);
    return sum;
  }

  // The first bytes of them only.
  void cut(int64_t length) {
    for (uint32_t i = 0; i < count_; i++) {
      vectors_[i].iov_len = std::min(vectors_[i].iov_len, static_cast<size_t>(length));
      length -= static_cast<int64_t>(vectors_[i].iov_len);
    }
  }

 private:
  static constexpr uint32_t kMost = 64;
  uint32_t count_;
  iovec vectors_[kMost];
};

// Bits of the host's `mode` argument; they mirror WASI's fdflags.
constexpr uint32_t kDsync = 2;
constexpr uint32_t kNonblock = 4;
constexpr uint32_t kSync = 16;

int writeFlags(uint32_t mode) {
  if (mode & kSync) return RWF_SYNC;
  return mode & kDsync ? RWF_DSYNC : 0;
}

// ppoll until the descriptor is ready or the time is up; a signal does not end it. Returns whether it is
// ready.
bool wait(int fd, short events, int timeoutMs) {
  pollfd one = {fd, events, 0};
  int ready;
  do ready = poll(&one, 1, timeoutMs);
  while (ready < 0 && errno == EINTR);
  return ready > 0;
}

// Performs `operation` as the guest sees its descriptor: one that blocks for the guest blocks although its
// open file description (shared with others, as stdio is) may say otherwise, and the other way round.
template <typename Operation>
ssize_t perform(int fd, uint32_t mode, short events, Operation operation) {
  if ((mode & kNonblock) != 0 && !wait(fd, events, 0)) {
    errno = EAGAIN;
    return -1;
  }
  for (;;) {
    const ssize_t done = operation();
    if (done >= 0) return done;
    if (errno == EAGAIN && (mode & kNonblock) == 0)
      wait(fd, events, -1);
    else if (errno != EINTR)
      return -1;
  }
}

int storeCount(const GuestMemory& memory, uint32_t offset, ssize_t done) {
  if (done < 0) return errno;
  memory.store(offset, static_cast<uint32_t>(done));
  return 0;
}

// wasiRead(memory, fd, mode, iovecs, count, result)
int wasiRead(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  const Vectors vectors(memory, in.u32(3), in.u32(4));
  const uint32_t result = in.u32(5);
  memory.at(result, 4);
  return storeCount(memory, result, perform(fd, in.u32(2), POLLIN, [&] {
                      return readv(fd, vectors.data(), vectors.count());
                    }));
}

// What a guest may still write to its output, all its threads together, in a cell of the host's: a write
// takes of it before it is done, so that no two take the same. Below 0 once a write wanted more than there
// was left; such a guest is ended.
class Allowance {
 public:
  // Cuts what is to be written to what may be.
  Allowance(int64_t* left, Vectors& vectors) : left_(left) {
    if (left_ == nullptr) return;
    wanted_ = vectors.length();
    int64_t now = __atomic_load_n(left_, __ATOMIC_SEQ_CST);
    do taken_ = std::min(wanted_, std::max<int64_t>(now, 0));
    while (
        !__atomic_compare_exchange_n(left_, &now, now - taken_, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    vectors.cut(taken_);
  }
  Allowance(const Allowance&) = delete;
  Allowance& operator=(const Allowance&) = delete;

  // Whether it is spent: then there is nothing to be written, and nobody to be told of it.
  bool refuses() const {
    if (left_ == nullptr || taken_ > 0 || wanted_ == 0) return false;
    __atomic_store_n(left_, -1, __ATOMIC_SEQ_CST);
    return true;
  }

  // Gives back what was not written.
  ssize_t settle(ssize_t done) const {
    if (left_ == nullptr) return done;
    const int64_t written = std::max<int64_t>(done, 0);
    if (written == taken_ && taken_ < wanted_)
      __atomic_store_n(left_, -1, __ATOMIC_SEQ_CST);
    else
      __atomic_add_fetch(left_, taken_ - written, __ATOMIC_SEQ_CST);
    return done;
  }

 private:
  int64_t* left_;
  int64_t wanted_ = 0;
  int64_t taken_ = 0;
};

bool isRegular(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

bool isSocket(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode);
}

msghdr messageOf(Vectors& vectors) {
  msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = static_cast<size_t>(vectors.count());
  return message;
}

// The socket itself may block: others share it, or accept4 made it so.
int waitFlags(uint32_t mode) {
  return mode & kNonblock ? MSG_DONTWAIT : 0;
}

// A write that does not block although the open file description does: being writable promises room for a
// page only, so the kernel is asked to stop where it would wait. Terminals do not know RWF_NOWAIT, nor do
// sockets before Linux 6.4; regular files never wait long.
ssize_t writeNonblocking(int fd, Vectors& vectors, int flags) {
  const ssize_t done = pwritev2(fd, vectors.data(), vectors.count(), -1, flags | RWF_NOWAIT);
  if (done >= 0 || (errno != EOPNOTSUPP && !(errno == EAGAIN && isRegular(fd)))) return done;
  if (errno == EOPNOTSUPP && isSocket(fd)) {
    msghdr message = messageOf(vectors);
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  return pwritev2(fd, vectors.data(), vectors.count(), -1, flags);
}

// wasiWrite(memory, fd, mode, iovecs, count, result, left)
int wasiWrite(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  const uint32_t mode = in.u32(2);
  Vectors vectors(memory, in.u32(3), in.u32(4));
  const uint32_t result = in.u32(5);
  memory.at(result, 4);
  const Allowance allowance(in.longs(6), vectors);
  if (allowance.refuses()) return ENOSPC;
  const int flags = writeFlags(mode);
  const ssize_t done = perform(fd, mode, POLLOUT, [&] {
    if (mode & kNonblock) return writeNonblocking(fd, vectors, flags);
    // Offset -1: at the description's own position.
    return flags == 0 ? writev(fd, vectors.data(), vectors.count())
                      : pwritev2(fd, vectors.data(), vectors.count(), -1, flags);
  });
  return storeCount(memory, result, allowance.settle(done));
}

// wasiReadAt(memory, fd, iovecs, count, offset, result)
int wasiReadAt(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const Vectors vectors(memory, in.u32(2), in.u32(3));
  const uint32_t result = in.u32(5);
  memory.at(result, 4);
  const int64_t offset = in.i64(4);
  const int fd = in.i32(1);
  return storeCount(memory, result, perform(fd, 0, POLLIN, [&] {
                      return preadv(fd, vectors.data(), vectors.count(), offset);
                    }));
}

// wasiWriteAt(memory, fd, mode, iovecs, count, offset, result, left)
int wasiWriteAt(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  Vectors vectors(memory, in.u32(3), in.u32(4));
  const int64_t offset = in.i64(5);
  const uint32_t result = in.u32(6);
  memory.at(result, 4);
  const int flags = writeFlags(in.u32(2));
  // pwritev2 takes -1 for "at the position"; to the guest it is a negative offset.
  if (offset < 0) return EINVAL;
  const Allowance allowance(in.longs(7), vectors);
  if (allowance.refuses()) return ENOSPC;
  const ssize_t done =
      perform(fd, 0, POLLOUT, [&] { return pwritev2(fd, vectors.data(), vectors.count(), offset, flags); });
  return storeCount(memory, result, allowance.settle(done));
}

// wasiSeek(memory, fd, offset, whence, result)
int wasiSeek(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  memory.at(in.u32(4), 8);
  const off_t position = lseek(in.i32(1), in.i64(2), in.i32(3));
  if (position < 0) return errno;
  memory.store(in.u32(4), static_cast<uint64_t>(position));
  return 0;
}

// wasiReceive(memory, fd, mode, iovecs, count, flags, result, resultFlags)
int wasiReceive(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  Vectors vectors(memory, in.u32(3), in.u32(4));
  memory.at(in.u32(6), 4);
  memory.at(in.u32(7), 2);
  const uint32_t wanted = in.u32(5);
  if (wanted & ~3u) return EINVAL;
  const uint32_t mode = in.u32(2);
  const int flags = (wanted & 1 ? MSG_PEEK : 0) | (wanted & 2 ? MSG_WAITALL : 0) | waitFlags(mode);
  msghdr message = messageOf(vectors);
  const ssize_t done = perform(fd, mode, POLLIN, [&] { return recvmsg(fd, &message, flags); });
  if (done < 0) return errno;
  memory.store(in.u32(6), static_cast<uint32_t>(done));
  memory.store(in.u32(7), static_cast<uint16_t>(message.msg_flags & MSG_TRUNC ? 1 : 0));
  return 0;
}

// wasiSend(memory, fd, mode, iovecs, count, result, left)
int wasiSend(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const int fd = in.i32(1);
  Vectors vectors(memory, in.u32(3), in.u32(4));
  memory.at(in.u32(5), 4);
  const uint32_t mode = in.u32(2);
  const int flags = MSG_NOSIGNAL | waitFlags(mode);
  const Allowance allowance(in.longs(6), vectors);
  if (allowance.refuses()) return ENOSPC;
  const msghdr message = messageOf(vectors);
  const ssize_t done = perform(fd, mode, POLLOUT, [&] { return sendmsg(fd, &message, flags); });
  return storeCount(memory, in.u32(5), allowance.settle(done));
}

// wasiShutdown(fd, how): 1 reading, 2 writing, 3 both.
int wasiShutdown(const Arguments& in) {
  const uint32_t how = in.u32(1);
  if (how < 1 || how > 3) return EINVAL;
  return shutdown(in.i32(0), how == 1 ? SHUT_RD : how == 2 ? SHUT_WR : SHUT_RDWR) < 0 ? errno : 0;
}

// wasiAccept(fd, mode, out: [fd])
int wasiAccept(const Arguments& in) {
  int32_t* out = in.ints(2, 1);
  if (out == nullptr) return EINVAL;
  const int fd = in.i32(0);
  const ssize_t accepted =
      perform(fd, in.u32(1), POLLIN, [&] { return accept4(fd, nullptr, nullptr, SOCK_CLOEXEC); });
  if (accepted < 0) return errno;
  out[0] = static_cast<int32_t>(accepted);
  return 0;
}

bool clockOf(uint32_t id, clockid_t* clock) {
  static constexpr clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                          CLOCK_THREAD_CPUTIME_ID};
  if (id >= 4) return false;
  *clock = kClocks[id];
  return true;
}

uint64_t nanoseconds(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(time.tv_nsec);
}

// wasiClock(memory, id, result)
int wasiClock(const Arguments& in) {
  clockid_t clock;
  if (!clockOf(in.u32(1), &clock)) return EINVAL;
  timespec now;
  if (clock_gettime(clock, &now) < 0) return errno;
  in.memory(0).store(in.u32(2), nanoseconds(now));
  return 0;
}

// wasiClockResolution(memory, id, result)
int wasiClockResolution(const Arguments& in) {
  clockid_t clock;
  if (!clockOf(in.u32(1), &clock)) return EINVAL;
  timespec resolution;
  if (clock_getres(clock, &resolution) < 0) return errno;
  in.memory(0).store(in.u32(2), nanoseconds(resolution));
  return 0;
}

// wasiRandom(memory, buffer, length). The kernel's own generator: forked siblings never see the same bytes.
int wasiRandom(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  size_t left = in.u32(2);
  uint8_t* next = memory.at(in.u32(1), left);
  while (left > 0) {
    const ssize_t got = getrandom(next, left, 0);
    if (got < 0 && errno != EINTR) return errno;
    if (got > 0) {
      next += got;
      left -= static_cast<size_t>(got);
    }
  }
  return 0;
}

int wasiYield(const Arguments&) {
  return sched_yield() < 0 ? errno : 0;
}

}  // namespace

void exportIo(napi_env env, napi_value exports) {
  exportCall<wasiRead>(env, exports, "wasiRead");
  exportCall<wasiWrite>(env, exports, "wasiWrite");
  exportCall<wasiReadAt>(env, exports, "wasiReadAt");
  exportCall<wasiWriteAt>(env, exports, "wasiWriteAt");
  exportCall<wasiSeek>(env, exports, "wasiSeek");
  exportCall<wasiReceive>(env, exports, "wasiReceive");
  exportCall<wasiSend>(env, exports, "wasiSend");
  exportCall<wasiShutdown>(env, exports, "wasiShutdown");
  exportCall<wasiAccept>(env, exports, "wasiAccept");
  exportCall<wasiClock>(env, exports, "wasiClock");
  exportCall<wasiClockResolution>(env, exports, "wasiClockResolution");
  exportCall<wasiRandom>(env, exports, "wasiRandom");
  exportCall<wasiYield>(env, exports, "wasiYield");
}

}  // namespace tandem::wasi
