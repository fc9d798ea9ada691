#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace tandem {

// A failed system call: which one, on what, and why. Converted to a JavaScript Error at one place,
// addon/call.h.
class ErrnoError : public std::system_error {
 public:
  ErrnoError(int error, std::string syscall, std::string subject = {})
      : std::system_error(error, std::generic_category()),
        syscall_(std::move(syscall)),
        subject_(std::move(subject)) {}

  const std::string& syscall() const { return syscall_; }
  const std::string& subject() const { return subject_; }

 private:
  std::string syscall_;
  std::string subject_;
};

// Returns the result of a system call, or throws with the errno that it left.
template <typename T>
T checked(T result, const char* syscall, std::string subject = {}) {
  if (result == static_cast<T>(-1)) throw ErrnoError(errno, syscall, std::move(subject));
  return result;
}

}  // namespace tandem
