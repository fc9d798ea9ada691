// Sockets of a server: all that are ready in one turn of the event loop are told with one call into
// JavaScript.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <uv.h>

#include <string>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

// Bits of events, as src/native-sockets.ts has them.
constexpr int32_t kReadable = 1;
constexpr int32_t kWritable = 2;
constexpr int32_t kBroken = 4;

constexpr int kBatch = 256;

// An epoll set that libuv watches: it has one watcher for a descriptor, but starts it with several system
// calls and calls JavaScript for each. Entries stay armed until they are changed.
class SocketSet {
 public:
  SocketSet(Napi::Env env, Napi::Int32Array ready, Napi::Function callback)
      : env_(env),
        context_(env, "tandem.socketSet"),
        epoll_(checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
        ready_(Napi::Persistent(ready)),
        callback_(Napi::Persistent(callback)) {
    uv_loop_t* loop = nullptr;
    napi_get_uv_event_loop(env, &loop);
    if (const int error = uv_poll_init(loop, &watcher_, epoll_.get()); error != 0)
      throw ErrnoError(-error, "uv_poll_init", "epoll");
    watcher_.data = this;
    uv_poll_start(&watcher_, UV_READABLE,
                  [](uv_poll_t* watcher, int, int) { static_cast<SocketSet*>(watcher->data)->dispatch(); });
  }

  // Errors and a peer that is gone for good are told in any case.
  void watch(int fd, int32_t events) {
    epoll_event entry = {};
    entry.events = (events & kReadable ? EPOLLIN : 0u) | (events & kWritable ? EPOLLOUT : 0u);
    entry.data.fd = fd;
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &entry) == 0) return;
    if (errno != ENOENT || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &entry) < 0)
      throw ErrnoError(errno, "epoll_ctl", "fd " + std::to_string(fd));
  }

  void forget(int fd) {
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) < 0 && errno != ENOENT && errno != EBADF)
      throw ErrnoError(errno, "epoll_ctl", "fd " + std::to_string(fd));
  }

  // libuv owns the watcher until it has closed it.
  void close() {
    if (std::exchange(closed_, true)) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&watcher_), [](uv_handle_t* handle) {
      auto* set = static_cast<SocketSet*>(handle->data);
      set->finished_ = true;
      if (set->collected_) delete set;
    });
  }

  // JavaScript has no reference to it any more.
  void collect() {
    collected_ = true;
    if (finished_)
      delete this;
    else
      close();
  }

 private:
  void dispatch() {
    epoll_event events[kBatch];
    const int count = epoll_wait(epoll_.get(), events, kBatch, 0);
    if (count <= 0) return;
    Napi::HandleScope scope(env_);
    int32_t* pairs = ready_.Value().Data();
    for (int i = 0; i < count; i++) {
      pairs[2 * i] = events[i].data.fd;
      pairs[2 * i + 1] = (events[i].events & EPOLLIN ? kReadable : 0) |
                         (events[i].events & EPOLLOUT ? kWritable : 0) |
                         (events[i].events & (EPOLLHUP | EPOLLERR) ? kBroken : 0);
    }
    try {
      callback_.MakeCallback(env_.Global(), {Napi::Number::New(env_, count)}, context_);
    } catch (const Napi::Error& error) {
      napi_fatal_exception(env_, error.Value());
    }
  }

  Napi::Env env_;
  Napi::AsyncContext context_;
  UniqueFd epoll_;
  Napi::Reference<Napi::Int32Array> ready_;
  Napi::FunctionReference callback_;
  uv_poll_t watcher_;
  bool closed_ = false;
  bool finished_ = false;
  bool collected_ = false;
};

SocketSet& setOf(const Napi::CallbackInfo& info) {
  return *info[0].As<Napi::External<SocketSet>>().Data();
}

// createSocketSet(ready: Int32Array, callback)
Napi::Value createSocketSet(const Napi::CallbackInfo& info) {
  Napi::Int32Array ready = info[0].As<Napi::Int32Array>();
  if (ready.ElementLength() < 2 * kBatch)
    throw ErrnoError(EINVAL, "epoll_wait", "too little room for events");
  auto* set = new SocketSet(info.Env(), ready, info[1].As<Napi::Function>());
  return Napi::External<SocketSet>::New(info.Env(), set, [](Napi::Env, SocketSet* one) { one->collect(); });
}

// watchSocket(set, fd, events)
Napi::Value watchSocket(const Napi::CallbackInfo& info) {
  setOf(info).watch(info[1].As<Napi::Number>().Int32Value(), info[2].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

// forgetSocket(set, fd)
Napi::Value forgetSocket(const Napi::CallbackInfo& info) {
  setOf(info).forget(info[1].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

// closeSocketSet(set)
Napi::Value closeSocketSet(const Napi::CallbackInfo& info) {
  setOf(info).close();
  return info.Env().Undefined();
}

// disableNagle(fd)
Napi::Value disableNagle(const Napi::CallbackInfo& info) {
  const int on = 1;
  const int fd = info[0].As<Napi::Number>().Int32Value();
  // Answers are sent whole, and an event of a stream is not to wait for the next. Not for unix sockets, which
  // have no such delay.
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0 && errno != EOPNOTSUPP)
    throw ErrnoError(errno, "setsockopt", "TCP_NODELAY");
  return info.Env().Undefined();
}

// socketEnded(fd)
Napi::Value socketEnded(const Napi::CallbackInfo& info) {
  char byte;
  const ssize_t length = recv(info[0].As<Napi::Number>().Int32Value(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return Napi::Boolean::New(info.Env(), length == 0);
}

}  // namespace

void exportSocketSet(Napi::Object exports) {
  exportFunction<createSocketSet>(exports, "createSocketSet");
  exportFunction<watchSocket>(exports, "watchSocket");
  exportFunction<forgetSocket>(exports, "forgetSocket");
  exportFunction<closeSocketSet>(exports, "closeSocketSet");
  exportFunction<disableNagle>(exports, "disableNagle");
  exportFunction<socketEnded>(exports, "socketEnded");
}

}  // namespace tandem
