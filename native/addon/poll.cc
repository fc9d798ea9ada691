// Readiness of descriptors that libuv has no type for: pidfds, eventfds, inotify, sockets that carry
// descriptors.
#include <node_api.h>
#include <poll.h>
#include <uv.h>

#include <string>
#include <utility>

#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {
namespace {

// One uv_poll_t and the function it calls. Freed by libuv's close callback, because libuv owns the handle
// until then.
struct Watch {
  uv_poll_t handle;
  Napi::FunctionReference callback;
  Napi::AsyncContext context;
  bool closing = false;

  Watch(Napi::Env env, Napi::Function function)
      : callback(Napi::Persistent(function)), context(env, "tandem.onReadable") {}

  void close() {
    if (std::exchange(closing, true)) return;
    uv_close(reinterpret_cast<uv_handle_t*>(&handle),
             [](uv_handle_t* handle) { delete static_cast<Watch*>(handle->data); });
  }
};

void ready(uv_poll_t* handle, int, int) {
  auto* watch = static_cast<Watch*>(handle->data);
  Napi::Env env = watch->callback.Env();
  Napi::HandleScope scope(env);
  try {
    watch->callback.MakeCallback(env.Global(), {}, watch->context);
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
}

Napi::Value onReadable(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* watch = new Watch(env, info[1].As<Napi::Function>());
  if (const int error = uv_poll_init(loop, &watch->handle, fd); error != 0) {
    delete watch;
    throw ErrnoError(-error, "uv_poll_init", "fd " + std::to_string(fd));
  }
  watch->handle.data = watch;
  // EPOLLPRI belongs to cgroup v2's event files, EPOLLHUP comes with every request.
  if (const int error = uv_poll_start(&watch->handle, UV_READABLE | UV_PRIORITIZED | UV_DISCONNECT, ready);
      error != 0) {
    watch->close();
    throw ErrnoError(-error, "uv_poll_start", "fd " + std::to_string(fd));
  }
  return Napi::Function::New(env, [watch, live = true](const Napi::CallbackInfo&) mutable {
    if (std::exchange(live, false)) watch->close();
  });
}

Napi::Value waitReadable(const Napi::CallbackInfo& info) {
  pollfd waiting{info[0].As<Napi::Number>().Int32Value(), POLLIN, 0};
  const int ready = checked(poll(&waiting, 1, info[1].As<Napi::Number>().Int32Value()), "poll");
  return Napi::Boolean::New(info.Env(), ready > 0);
}

}  // namespace

void exportPoll(Napi::Object exports) {
  exportFunction<onReadable>(exports, "onReadable");
  exportFunction<waitReadable>(exports, "waitReadable");
}

}  // namespace tandem
