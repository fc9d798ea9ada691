#pragma once

#include <errno.h>

#include <cstdint>

#include "init/steps.h"

// What container-init has to say to the shim.
namespace tandem {

// The property of config.json that the current step stands for; prefix of every error.
void setProperty(const char* property);

// Tells the shim and ends the process: `<property>: <action> <subject>: <error>`.
[[noreturn]] void fail(const char* action, const char* subject, int error);
// The same for a reason that is no errno.
[[noreturn]] void failBecause(const char* reason, const char* subject, int error);

// Returns the result of a system call, or fails with the errno that it left.
template <typename T>
T must(T result, const char* action, const char* subject = "") {
  if (result == static_cast<T>(-1)) fail(action, subject, errno);
  return result;
}

void tell(ToShim message, int fd = -1);
// Blocks until the other side says something; false when that is something else, or the end.
bool hears(ToInit message);
// Blocks until the shim says so. A shim that is gone ends the process: nobody would start or reap the
// container.
void await(ToInit message);

}  // namespace tandem
