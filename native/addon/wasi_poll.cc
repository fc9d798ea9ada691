// poll_oneoff of the WASI 0.1 host: clocks and descriptors in one ppoll.
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "addon/wasi_groups.h"
#include "addon/wasi_guest.h"

namespace tandem::wasi {
namespace {

constexpr uint8_t kClock = 0;
constexpr uint8_t kRead = 1;
constexpr uint32_t kEventSize = 32;

int64_t now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
}

// One subscription. The two ABIs differ in the clock's fields only: wasi_unstable has an identifier before
// them.
struct Subscription {
  uint64_t userdata;
  uint8_t tag;
  clockid_t clock = CLOCK_MONOTONIC;
  int64_t deadline = INT64_MAX;
  int error = 0;

  Subscription(const GuestMemory& memory, uint32_t at, bool unstable)
      : userdata(memory.load<uint64_t>(at)), tag(memory.load<uint8_t>(at + 8)) {
    if (tag != kClock) return;
    const uint32_t fields = at + (unstable ? 24 : 16);
    const auto id = memory.load<uint32_t>(fields);
    const auto timeout = static_cast<int64_t>(
        std::min<uint64_t>(memory.load<uint64_t>(fields + 8), static_cast<uint64_t>(INT64_MAX)));
    const bool absolute = (memory.load<uint16_t>(fields + 24) & 1) != 0;
    if (id > 1) {
      error = id > 3 ? EINVAL : EOPNOTSUPP;
      return;
    }
    clock = id == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    if (absolute || timeout == INT64_MAX)
      deadline = timeout;
    else if (__builtin_add_overflow(now(clock), timeout, &deadline))
      deadline = INT64_MAX;
  }

  int64_t left() const {
    return deadline == INT64_MAX ? INT64_MAX : std::max<int64_t>(0, deadline - now(clock));
  }
};

class Events {
 public:
  Events(const GuestMemory& memory, uint32_t offset) : memory_(memory), offset_(offset) {}

  void add(const Subscription& from, int error, uint64_t bytes = 0, bool hungUp = false) {
    uint8_t* event = memory_.at(offset_ + count_++ * kEventSize, kEventSize);
    const auto code = static_cast<uint16_t>(error == 0 ? 0 : toWasiErrno(error));
    const uint16_t flags = hungUp ? 1 : 0;
    memset(event, 0, kEventSize);
    memcpy(event, &from.userdata, 8);
    memcpy(event + 8, &code, 2);
    event[10] = from.tag;
    memcpy(event + 16, &bytes, 8);
    memcpy(event + 24, &flags, 2);
  }

  uint32_t count() const { return count_; }

 private:
  const GuestMemory& memory_;
  uint32_t offset_;
  uint32_t count_ = 0;
};

uint64_t bytesReady(int fd, uint8_t tag) {
  int pending = 0;
  // Regular files answer too; what cannot tell says 1, which is true of anything that polls as ready.
  if (tag == kRead && ioctl(fd, FIONREAD, &pending) == 0) return static_cast<uint64_t>(std::max(pending, 0));
  return 1;
}

// ppoll in slices of the clocks' time left; an interrupted one goes on.
int waitFor(std::vector<pollfd>& polls, int64_t left) {
  timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
  const int ready = ppoll(polls.data(), polls.size(), left == INT64_MAX ? nullptr : &timeout, nullptr);
  return ready < 0 && errno != EINTR ? errno : 0;
}

// wasiPoll(memory, subscriptions, events, count, unstable, fds, result): fds[i] is the descriptor of
// subscription i, or -errno of the host's own verdict on it (a Linux number).
int wasiPoll(const Arguments& in) {
  const GuestMemory memory = in.memory(0);
  const uint32_t count = in.u32(3);
  const bool unstable = in.i32(4) != 0;
  const uint32_t size = unstable ? 56 : 48;
  const int32_t* fds = in.ints(5, count);
  if (count == 0 || fds == nullptr) return EINVAL;
  memory.at(in.u32(1), size_t{count} * size);
  memory.at(in.u32(2), size_t{count} * kEventSize);
  memory.at(in.u32(6), 4);

  std::vector<Subscription> subscriptions;
  std::vector<pollfd> polls(count);
  subscriptions.reserve(count);
  bool failed = false;
  for (uint32_t i = 0; i < count; i++) {
    Subscription& one = subscriptions.emplace_back(memory, in.u32(1) + i * size, unstable);
    if (one.tag > 2) return EINVAL;
    if (one.tag != kClock && fds[i] < 0) one.error = -fds[i];
    polls[i] = {one.tag == kClock || one.error != 0 ? -1 : fds[i],
                static_cast<short>(one.tag == kRead ? POLLIN | POLLRDHUP : POLLOUT), 0};
    failed |= one.error != 0;
  }

  Events events(memory, in.u32(2));
  while (events.count() == 0) {
    int64_t left = failed ? 0 : INT64_MAX;
    for (const Subscription& one : subscriptions) {
      if (one.tag == kClock && one.error == 0) left = std::min(left, one.left());
    }
    if (const int error = waitFor(polls, left); error != 0) return error;
    for (uint32_t i = 0; i < count; i++) {
      const Subscription& one = subscriptions[i];
      const short got = polls[i].revents;
      if (one.error != 0)
        events.add(one, one.error);
      else if (one.tag == kClock) {
        if (one.left() == 0) events.add(one, 0);
      } else if (got & POLLNVAL)
        events.add(one, EBADF);
      else if (got != 0)
        events.add(one, 0, bytesReady(fds[i], one.tag), (got & (POLLHUP | POLLRDHUP | POLLERR)) != 0);
    }
  }
  memory.store(in.u32(6), events.count());
  return 0;
}

}  // namespace

void exportPolling(napi_env env, napi_value exports) {
  exportCall<wasiPoll>(env, exports, "wasiPoll");
}

}  // namespace tandem::wasi
