// Waiting of guests, for any number of descriptors at once: with the thread (pollAll), or with the event loop
// (whenReady).
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <uv.h>

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// Bits of `events` and of what comes back, as src/native-surface.ts has them.
constexpr int32_t kReadable = 1;
constexpr int32_t kWritable = 2;

// --- with the thread
// ------------------------------------------------------------------------------------------------------------

// Descriptors with an error or without a peer are ready for both: the next call on them says what is wrong.
int32_t readyOf(int32_t wanted, short got) {
  int32_t ready = 0;
  if (got & (POLLIN | POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) ready |= kReadable;
  if (got & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) ready |= kWritable;
  return ready & wanted;
}

short requestOf(int32_t wanted) {
  return static_cast<short>((wanted & kReadable ? POLLIN | POLLRDHUP : 0) |
                            (wanted & kWritable ? POLLOUT : 0));
}

// pollAll(list: Int32Array of [fd, events] pairs, count, timeoutNs)
Napi::Value pollAll(const Napi::CallbackInfo& info) {
  Napi::Int32Array list = info[0].As<Napi::Int32Array>();
  const size_t count = info[1].As<Napi::Number>().Uint32Value();
  const int64_t timeoutNs = info[2].As<Napi::Number>().Int64Value();
  if (count > list.ElementLength() / 2) throw ErrnoError(EINVAL, "ppoll", std::to_string(count));
  thread_local std::vector<pollfd> polls;
  polls.resize(count);
  int32_t* pairs = list.Data();
  for (size_t i = 0; i < count; i++) polls[i] = {pairs[2 * i], requestOf(pairs[2 * i + 1]), 0};
  const timespec timeout = {timeoutNs / 1'000'000'000, timeoutNs % 1'000'000'000};
  const int ready = ppoll(polls.data(), count, timeoutNs < 0 ? nullptr : &timeout, nullptr);
  // After a signal nothing is ready, and the caller looks again how long it wants to wait.
  if (ready < 0 && errno != EINTR) throw ErrnoError(errno, "ppoll", std::to_string(count));
  for (size_t i = 0; i < count; i++)
    pairs[2 * i + 1] = ready > 0 ? readyOf(pairs[2 * i + 1], polls[i].revents) : 0;
  return Napi::Number::New(info.Env(), std::max(ready, 0));
}

// --- with the event loop
// ----------------------------------------------------------------------------------------------------------------

// libuv has one watcher for a descriptor, starts it with five system calls and forgets it after an error. So
// it watches one descriptor only, that of an epoll set of our own; what a guest waits for is a one-shot entry
// in that.
class Reactor {
 public:
  explicit Reactor(Napi::Env env)
      : env_(env),
        context_(env, "tandem.whenReady"),
        epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    if (const int error = uv_poll_init(loop, &watcher_, epoll_.get()); error != 0)
      throw ErrnoError(-error, "uv_poll_init", "epoll");
    watcher_.data = this;
    uv_poll_start(&watcher_, UV_READABLE,
                  [](uv_poll_t* watcher, int, int) { static_cast<Reactor*>(watcher->data)->dispatch(); });
    uv_unref(reinterpret_cast<uv_handle_t*>(&watcher_));
    napi_add_async_cleanup_hook(env, closeForGood, this, nullptr);
  }

  static Reactor& of(Napi::Env env) {
    // A forked child shares its parent's epoll set; it must have one of its own.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current_ = nullptr; });
    if (registered != 0) throw ErrnoError(registered, "pthread_atfork");
    if (current_ == nullptr) current_ = new Reactor(env);
    return *current_;
  }

  uint32_t add(int fd, int32_t events, Napi::Function callback) {
    auto& waiters = waiters_[fd];
    const uint32_t token = ++lastToken_;
    waiters.push_back({token, events, Napi::Persistent(callback)});
    try {
      arm(fd, waiters);
    } catch (const ErrnoError&) {
      waiters.pop_back();
      if (waiters.empty()) waiters_.erase(fd);
      throw;
    }
    descriptors_.emplace(token, fd);
    if (descriptors_.size() == 1) uv_ref(reinterpret_cast<uv_handle_t*>(&watcher_));
    return token;
  }

  // What is armed for it stays armed; an event that nobody waits for is nobody's.
  void remove(uint32_t token) {
    const auto found = descriptors_.find(token);
    if (found == descriptors_.end()) return;
    const auto at = waiters_.find(found->second);
    std::erase_if(at->second, [token](const Waiter& waiter) { return waiter.token == token; });
    if (at->second.empty()) waiters_.erase(at);
    forget(token);
  }

 private:
  struct Waiter {
    uint32_t token;
    int32_t events;
    Napi::FunctionReference callback;
  };

  void arm(int fd, const std::vector<Waiter>& waiters) {
    int32_t events = 0;
    for (const Waiter& waiter : waiters) events |= waiter.events;
    epoll_event entry = {};
    entry.events = EPOLLONESHOT | (events & kReadable ? EPOLLIN | EPOLLRDHUP : 0u) |
                   (events & kWritable ? EPOLLOUT : 0u);
    entry.data.fd = fd;
    // The kernel drops entries of closed descriptors, and numbers are used again: it alone knows what is
    // there.
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &entry) == 0) return;
    if (errno != ENOENT || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &entry) < 0)
      throw ErrnoError(errno, "epoll_ctl", "fd " + std::to_string(fd));
  }

  void dispatch() {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, 0);
    std::vector<Napi::FunctionReference> ready;
    for (int i = 0; i < count; i++) collect(events[i], ready);
    Napi::HandleScope scope(env_);
    // One scope for all: promises are settled once everybody who is ready has been told.
    Napi::CallbackScope callbacks(env_, context_);
    for (const Napi::FunctionReference& callback : ready) {
      try {
        callback.Value().Call({});
      } catch (const Napi::Error& error) {
        napi_fatal_exception(env_, error.Value());
      }
    }
  }

  void collect(const epoll_event& event, std::vector<Napi::FunctionReference>& ready) {
    const auto found = waiters_.find(event.data.fd);
    if (found == waiters_.end()) return;
    int32_t got = 0;
    if (event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) got |= kReadable;
    if (event.events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) got |= kWritable;
    auto& waiters = found->second;
    const auto rest = std::stable_partition(waiters.begin(), waiters.end(),
                                            [got](const Waiter& one) { return (one.events & got) == 0; });
    for (auto one = rest; one != waiters.end(); ++one) {
      ready.push_back(std::move(one->callback));
      forget(one->token);
    }
    waiters.erase(rest, waiters.end());
    if (waiters.empty())
      waiters_.erase(found);
    else
      arm(event.data.fd, waiters);
  }

  void forget(uint32_t token) {
    descriptors_.erase(token);
    if (descriptors_.empty()) uv_unref(reinterpret_cast<uv_handle_t*>(&watcher_));
  }

  // The end of a worker thread: its loop may not end with a handle in it.
  static void closeForGood(napi_async_cleanup_hook_handle hook, void* data) {
    auto* reactor = static_cast<Reactor*>(data);
    reactor->cleanup_ = hook;
    reactor->waiters_.clear();
    uv_close(reinterpret_cast<uv_handle_t*>(&reactor->watcher_), [](uv_handle_t* handle) {
      auto* closed = static_cast<Reactor*>(handle->data);
      napi_remove_async_cleanup_hook(closed->cleanup_);
      if (current_ == closed) current_ = nullptr;
      delete closed;
    });
  }

  static thread_local Reactor* current_;

  Napi::Env env_;
  Napi::AsyncContext context_;
  UniqueFd epoll_;
  uv_poll_t watcher_;
  std::unordered_map<int, std::vector<Waiter>> waiters_;
  // By token; what is in here keeps the loop alive.
  std::unordered_map<uint32_t, int> descriptors_;
  uint32_t lastToken_ = 0;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
};

thread_local Reactor* Reactor::current_ = nullptr;

// whenReady(fd, events, callback)
Napi::Value whenReady(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const int32_t events = info[1].As<Napi::Number>().Int32Value();
  const uint32_t token = Reactor::of(info.Env()).add(fd, events, info[2].As<Napi::Function>());
  return Napi::Number::New(info.Env(), token);
}

// stopWaiting(token)
Napi::Value stopWaiting(const Napi::CallbackInfo& info) {
  Reactor::of(info.Env()).remove(info[0].As<Napi::Number>().Uint32Value());
  return info.Env().Undefined();
}

}  // namespace

void exportReadiness(Napi::Object exports) {
  exportFunction<pollAll>(exports, "pollAll");
  exportFunction<whenReady>(exports, "whenReady");
  exportFunction<stopWaiting>(exports, "stopWaiting");
}

}  // namespace tandem
