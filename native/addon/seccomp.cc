// Compiles seccomp rules to classic BPF with libseccomp. The filter is only made here: whoever execs the program loads it.
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

// libseccomp returns -errno.
int checkedSeccomp(int result, const char* function, const std::string& subject = {}) {
  if (result < 0) throw ErrnoError(-result, function, subject);
  return result;
}

scmp_arg_cmp argument(const Napi::Object& arg) {
  bool lossless = false;
  return {
      .arg = arg.Get("index").As<Napi::Number>().Uint32Value(),
      .op = static_cast<scmp_compare>(arg.Get("op").As<Napi::Number>().Uint32Value()),
      .datum_a = arg.Get("value").As<Napi::BigInt>().Uint64Value(&lossless),
      .datum_b = arg.Get("valueTwo").As<Napi::BigInt>().Uint64Value(&lossless),
  };
}

void addRule(scmp_filter_ctx context, const Napi::Object& rule) {
  const std::string name = rule.Get("name").As<Napi::String>();
  const uint32_t action = rule.Get("action").As<Napi::Number>().Uint32Value();
  const auto args = rule.Get("args").As<Napi::Array>();
  std::vector<scmp_arg_cmp> comparisons;
  for (uint32_t i = 0; i < args.Length(); ++i) comparisons.push_back(argument(args.Get(i).As<Napi::Object>()));
  const int number = seccomp_syscall_resolve_name(name.c_str());
  // src/isolation/seccomp.ts says why an unknown name is no error.
  if (number == __NR_SCMP_ERROR) return;
  checkedSeccomp(seccomp_rule_add_array(context, action, number, static_cast<unsigned>(comparisons.size()),
                                        comparisons.data()),
                 "seccomp_rule_add", name);
}

// libseccomp 2.5 exports to a descriptor only.
Napi::Buffer<uint8_t> exportFilter(Napi::Env env, scmp_filter_ctx context) {
  UniqueFd memory(checked(memfd_create("seccomp", MFD_CLOEXEC), "memfd_create"));
  checkedSeccomp(seccomp_export_bpf(context, memory.get()), "seccomp_export_bpf");
  struct stat status {};
  checked(fstat(memory.get(), &status), "fstat");
  auto buffer = Napi::Buffer<uint8_t>::New(env, static_cast<size_t>(status.st_size));
  checked(pread(memory.get(), buffer.Data(), buffer.Length(), 0), "pread");
  return buffer;
}

Napi::Value compileSeccomp(const Napi::CallbackInfo& info) {
  const auto profile = info[0].As<Napi::Object>();
  Context context(seccomp_init(profile.Get("defaultAction").As<Napi::Number>().Uint32Value()), seccomp_release);
  if (!context) throw ErrnoError(EINVAL, "seccomp_init");
  const auto architectures = profile.Get("architectures").As<Napi::Array>();
  for (uint32_t i = 0; i < architectures.Length(); ++i) {
    const uint32_t token = architectures.Get(i).As<Napi::Number>().Uint32Value();
    const int result = seccomp_arch_add(context.get(), token);
    if (result != -EEXIST) checkedSeccomp(result, "seccomp_arch_add", std::to_string(token));
  }
  const auto rules = profile.Get("rules").As<Napi::Array>();
  // A binary tree over the numbers instead of a chain of comparisons. libseccomp up to 2.5.4 makes a wrong program of a tree
  // without rules, and a short chain is as fast.
  if (rules.Length() > 32) checkedSeccomp(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "seccomp_attr_set");
  for (uint32_t i = 0; i < rules.Length(); ++i) addRule(context.get(), rules.Get(i).As<Napi::Object>());
  return exportFilter(info.Env(), context.get());
}

// The largest number that one of the names has on an architecture; undefined when none exists there.
Napi::Value largestSyscall(const Napi::CallbackInfo& info) {
  const auto names = info[0].As<Napi::Array>();
  const uint32_t architecture = info[1].As<Napi::Number>().Uint32Value();
  int largest = -1;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).As<Napi::String>();
    // Negative: unknown, or one of libseccomp's own numbers for calls that this architecture multiplexes.
    const int number = seccomp_syscall_resolve_name_arch(architecture, name.c_str());
    if (number > largest) largest = number;
  }
  return largest < 0 ? info.Env().Undefined() : Napi::Number::New(info.Env(), largest).As<Napi::Value>();
}

Napi::Value nativeSeccompArchitecture(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), seccomp_arch_native());
}

}  // namespace

void exportSeccomp(Napi::Object exports) {
  exportFunction<compileSeccomp>(exports, "compileSeccomp");
  exportFunction<largestSyscall>(exports, "largestSyscall");
  exportFunction<nativeSeccompArchitecture>(exports, "nativeSeccompArchitecture");
}

}  // namespace tandem
