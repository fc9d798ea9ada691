// Limits of time: they end the process wherever its guest is, for neither the event loop nor the engine has
// to come to anything for it. A thread waits in the kernel for each.
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <string>

#include "addon/call.h"
#include "addon/groups.h"

namespace tandem {
namespace {

struct Deadline {
  clockid_t clock;
  timespec at;
  // On the guest's stderr, with its newline.
  std::string line;
  int status;
  // -1: nobody is told.
  int statusPipe;
};

// A stack holds a few calls of the C library.
constexpr size_t kStackSize = 256 * 1024;

// Signals are for the thread that runs JavaScript.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// Returns 0 or an errno.
int startThread(void* (*body)(void*), Deadline* deadline) {
  SignalsBlocked blocked;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackSize);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, body, deadline);
  pthread_attr_destroy(&attributes);
  return error;
}

std::atomic<bool> ending{false};

[[noreturn]] void endProcess(const Deadline& deadline) {
  // The second one must not tell a status, too: two are taken for a guest that has broken out.
  while (ending.exchange(true)) pause();
  const std::string told = "{\"exit\":" + std::to_string(deadline.status) + "}\n";
  // Whoever should read it may be gone: the process ends all the same.
  if (deadline.statusPipe >= 0 && write(deadline.statusPipe, told.data(), told.size()) < 0) _exit(255);
  _exit(deadline.status);
}

// A pipe that nobody reads, and that the guest keeps full, must not keep the process: a line is worth this
// long.
constexpr timespec kPatience = {1, 0};

void* endAfterPatience(void* given) {
  nanosleep(&kPatience, nullptr);
  endProcess(*static_cast<Deadline*>(given));
}

// Returns -1 when nobody reads.
ssize_t sayWhy(const Deadline& deadline) {
  return write(STDERR_FILENO, deadline.line.data(), deadline.line.size());
}

void* endWhenDue(void* given) {
  auto* deadline = static_cast<Deadline*>(given);
  while (clock_nanosleep(deadline->clock, TIMER_ABSTIME, &deadline->at, nullptr) == EINTR) continue;
  // Without a thread that ends the process meanwhile, nothing is written that could take for ever.
  if (startThread(endAfterPatience, deadline) == 0) sayWhy(*deadline);
  endProcess(*deadline);
}

timespec plus(timespec start, int64_t milliseconds) {
  const int64_t nanoseconds = start.tv_nsec + milliseconds % 1000 * 1'000'000;
  return {start.tv_sec + milliseconds / 1000 + nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
}

// endAfter({clock, milliseconds, line, status, statusPipe})
Napi::Value endAfter(const Napi::CallbackInfo& info) {
  Napi::Object options = info[0].As<Napi::Object>();
  const bool used = options.Get("clock").ToString().Utf8Value() == "processor";
  auto deadline = std::make_unique<Deadline>();
  deadline->clock = used ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
  timespec start = {0, 0};
  if (!used) checked(clock_gettime(CLOCK_MONOTONIC, &start), "clock_gettime");
  deadline->at = plus(start, options.Get("milliseconds").As<Napi::Number>().Int64Value());
  deadline->line = options.Get("line").ToString().Utf8Value();
  deadline->status = options.Get("status").As<Napi::Number>().Int32Value();
  deadline->statusPipe = options.Get("statusPipe").As<Napi::Number>().Int32Value();
  const int error = startThread(endWhenDue, deadline.get());
  if (error != 0) throw ErrnoError(error, "pthread_create", "for a limit of time");
  deadline.release();
  return info.Env().Undefined();
}

}  // namespace

void exportDeadline(Napi::Object exports) {
  exportFunction<endAfter>(exports, "endAfter");
}

}  // namespace tandem
