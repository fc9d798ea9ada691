#pragma once

#include <napi.h>

#include <cstring>
#include <string>

#include "sys/errno_error.h"

namespace tandem {

// The one edge between C++ exceptions and JavaScript: every exported function passes through here.
// A failed system call becomes an Error with code, errno, syscall and a message that names its subject.
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value call(const Napi::CallbackInfo& info) {
  try {
    return Function(info);
  } catch (const ErrnoError& error) {
    const int number = error.code().value();
    std::string message = error.syscall();
    if (!error.subject().empty()) message += " " + error.subject();
    message += std::string(": ") + strerror(number);
    Napi::Error thrown = Napi::Error::New(info.Env(), message);
    const char* name = strerrorname_np(number);
    thrown.Set("code", Napi::String::New(info.Env(), name != nullptr ? name : "EUNKNOWN"));
    thrown.Set("errno", Napi::Number::New(info.Env(), number));
    thrown.Set("syscall", Napi::String::New(info.Env(), error.syscall()));
    throw thrown;
  }
}

template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
void exportFunction(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New<call<Function>>(exports.Env(), name));
}

}  // namespace tandem
