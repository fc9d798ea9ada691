// Calls of guests that end in time. A guest that computes without end keeps the event loop, and with it every
// timer, from running; so a thread watches the clock, and has V8 end what runs.
#include <node_api.h>
#include <pthread.h>
#include <time.h>
#include <v8.h>

#include <atomic>
#include <cstring>

#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {
namespace {

// Who has the thread that runs JavaScript. The host may not be ended in the middle of something: JavaScript
// says when it is called by a guest and when it returns there (wasm-host/linked/guest-thread.ts has the same
// numbers).
enum Turn : int32_t { kHost = 0, kGuest = 1, kEnding = 2 };

int64_t monotonicMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

class Watchdog {
 public:
  explicit Watchdog(v8::Isolate* isolate) : isolate_(isolate) {}

  // Shared with JavaScript, which changes it with Atomics.
  std::atomic<int32_t> turn{kHost};

  // A guest is about to have the thread until `deadline`.
  void begin(int64_t deadlineMs) {
    deadlineMs_.store(deadlineMs, std::memory_order_relaxed);
    calls_.fetch_add(1, std::memory_order_relaxed);
    turn.store(kGuest, std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_seq_cst)) wake();
  }

  // The guest has given the thread back. True when it was ended, which by now it has been.
  bool end() {
    int32_t guest = kGuest;
    if (turn.compare_exchange_strong(guest, kHost) || guest == kHost) return false;
    awaitEnding();
    isolate_->CancelTerminateExecution();
    turn.store(kHost);
    ended_.store(false);
    return true;
  }

  // Returns once V8 knows that it is to end what runs.
  void awaitEnding() {
    while (!ended_.load(std::memory_order_acquire)) sched_yield();
  }

 private:
  static constexpr int64_t kTickMs = 10;
  // A watchdog that has seen no new call for so many ticks sleeps until there is one.
  static constexpr int kIdleTicks = 100;

  void wake() {
    pthread_mutex_lock(&mutex_);
    if (!started_) start();
    asleep_.store(false);
    pthread_cond_signal(&changed_);
    pthread_mutex_unlock(&mutex_);
  }

  void start() {
    pthread_t thread;
    const int error = pthread_create(
        &thread, nullptr,
        [](void* self) -> void* {
          static_cast<Watchdog*>(self)->run();
          return nullptr;
        },
        this);
    if (error != 0) {
      pthread_mutex_unlock(&mutex_);
      turn.store(kHost);
      throw ErrnoError(error, "pthread_create", "watchdog of guests");
    }
    pthread_detach(thread);
    started_ = true;
  }

  void run() {
    uint64_t seen = 0;
    int idle = 0;
    for (;;) {
      const uint64_t calls = calls_.load(std::memory_order_relaxed);
      idle = calls == seen && turn.load() == kHost ? idle + 1 : 0;
      seen = calls;
      if (idle >= kIdleTicks) {
        sleep();
        idle = 0;
        continue;
      }
      const timespec tick = {0, kTickMs * 1'000'000};
      nanosleep(&tick, nullptr);
      if (monotonicMs() < deadlineMs_.load(std::memory_order_relaxed)) continue;
      int32_t guest = kGuest;
      if (!turn.compare_exchange_strong(guest, kEnding)) continue;
      isolate_->TerminateExecution();
      ended_.store(true, std::memory_order_release);
    }
  }

  // A call that began meanwhile is seen: it is counted before `asleep_` is looked at, and looked for after it
  // is set.
  void sleep() {
    pthread_mutex_lock(&mutex_);
    asleep_.store(true, std::memory_order_seq_cst);
    if (turn.load(std::memory_order_seq_cst) == kGuest) asleep_.store(false);
    while (asleep_.load()) pthread_cond_wait(&changed_, &mutex_);
    pthread_mutex_unlock(&mutex_);
  }

  v8::Isolate* isolate_;
  std::atomic<int64_t> deadlineMs_{0};
  std::atomic<uint64_t> calls_{0};
  std::atomic<bool> ended_{false};
  // Also before there is a thread.
  std::atomic<bool> asleep_{true};
  bool started_ = false;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
};

// One for each thread with JavaScript; it is never freed, because its own thread never ends. A forked child
// has the memory but not the thread, and must make another.
thread_local Watchdog* current = nullptr;

Watchdog& watchdog() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { current = nullptr; });
  if (registered != 0) throw ErrnoError(registered, "pthread_atfork");
  if (current == nullptr) current = new Watchdog(v8::Isolate::GetCurrent());
  return *current;
}

v8::Local<v8::Value> toV8(napi_value value) {
  v8::Local<v8::Value> local;
  static_assert(sizeof local == sizeof value);
  memcpy(static_cast<void*>(&local), &value, sizeof value);
  return local;
}

// guestTurn(): Int32Array of one element, which says who has the thread
Napi::Value guestTurn(const Napi::CallbackInfo& info) {
  auto buffer = Napi::ArrayBuffer::New(info.Env(), &watchdog().turn, sizeof(int32_t));
  return Napi::Int32Array::New(info.Env(), 1, buffer, 0);
}

// runGuest(fn, deadlineMs): whether it was ended. What promises do that `fn` settles is the guest's too: that
// is how one goes on that has waited, and V8 has it wait for a moment even where there is nothing to wait
// for.
Napi::Value runGuest(const Napi::CallbackInfo& info) {
  Watchdog& dog = watchdog();
  v8::Isolate* isolate = v8::Isolate::GetCurrent();
  v8::Local<v8::Context> context = isolate->GetCurrentContext();
  v8::Local<v8::Function> fn = toV8(info[0]).As<v8::Function>();
  v8::MicrotaskQueue* queue = context->GetMicrotaskQueue();
  // What others wait for is not to be lost with the guest: V8 forgets all that is queued when it ends one.
  queue->PerformCheckpoint(isolate);
  dog.begin(info[1].As<Napi::Number>().Int64Value());
  bool ended = false;
  {
    v8::TryCatch caught(isolate);
    v8::Local<v8::Value> result;
    const bool failed = !fn->Call(context, v8::Undefined(isolate), 0, nullptr).ToLocal(&result);
    if (!failed) queue->PerformCheckpoint(isolate);
    ended = dog.end();
    if (failed && !ended) caught.ReThrow();
  }
  return Napi::Boolean::New(info.Env(), ended);
}

// awaitEnding()
Napi::Value awaitEnding(const Napi::CallbackInfo& info) {
  watchdog().awaitEnding();
  return info.Env().Undefined();
}

}  // namespace

void exportGuestCall(Napi::Object exports) {
  exportFunction<guestTurn>(exports, "guestTurn");
  exportFunction<runGuest>(exports, "runGuest");
  exportFunction<awaitEnding>(exports, "awaitEnding");
}

}  // namespace tandem
