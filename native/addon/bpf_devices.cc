// The device controller of cgroup v2: a BPF program per cgroup that the kernel asks at every mknod and open of a device.
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

UniqueFd load(const void* instructions, size_t count) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uint64_t>(instructions);
  attributes.insn_cnt = static_cast<uint32_t>(count);
  attributes.license = reinterpret_cast<uint64_t>("Apache-2.0");
  // The verifier gives up with EAGAIN when a signal waits for this thread; it is delivered between two attempts.
  long program = -1;
  for (int attempt = 0; attempt < 10; ++attempt) {
    program = bpf(BPF_PROG_LOAD, attributes);
    if (program >= 0 || errno != EAGAIN) break;
  }
  return UniqueFd(static_cast<int>(checked(program, "bpf", "BPF_PROG_LOAD")));
}

// Ids of the programs attached to this very directory, without those of its ancestors.
std::vector<uint32_t> attachedPrograms(int directory) {
  std::array<uint32_t, 64> ids{};
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<uint32_t>(directory);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  attributes.query.prog_cnt = ids.size();
  checked(bpf(BPF_PROG_QUERY, attributes), "bpf", "BPF_PROG_QUERY");
  return std::vector<uint32_t>(ids.begin(), ids.begin() + attributes.query.prog_cnt);
}

UniqueFd programById(uint32_t id) {
  bpf_attr attributes{};
  attributes.prog_id = id;
  return UniqueFd(static_cast<int>(checked(bpf(BPF_PROG_GET_FD_BY_ID, attributes), "bpf", "BPF_PROG_GET_FD_BY_ID")));
}

void attach(int directory, int program, const std::string& path) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<uint32_t>(directory);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program);
  attributes.attach_type = BPF_CGROUP_DEVICE;
  // ALLOW_MULTI: ancestors' programs keep their say, as does one that systemd attached.
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  checked(bpf(BPF_PROG_ATTACH, attributes), "bpf", "BPF_PROG_ATTACH " + path);
}

void detach(int directory, int program, const std::string& path) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<uint32_t>(directory);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program);
  attributes.attach_type = BPF_CGROUP_DEVICE;
  checked(bpf(BPF_PROG_DETACH, attributes), "bpf", "BPF_PROG_DETACH " + path);
}

Napi::Value attachDeviceProgram(const Napi::CallbackInfo& info) {
  const std::string path = info[0].As<Napi::String>();
  const auto bytes = info[1].As<Napi::Uint8Array>();
  UniqueFd directory(checked(open(path.c_str(), O_DIRECTORY | O_RDONLY | O_CLOEXEC), "open", path));
  UniqueFd program = load(bytes.Data(), bytes.ByteLength() / sizeof(bpf_insn));
  // All programs must agree to an access. So the new one goes beside the old ones before they leave: there is no moment
  // without any, only one in which both must agree.
  const std::vector<uint32_t> earlier = attachedPrograms(directory.get());
  attach(directory.get(), program.get(), path);
  for (uint32_t id : earlier) detach(directory.get(), programById(id).get(), path);
  return info.Env().Undefined();
}

}  // namespace

void exportBpfDevices(Napi::Object exports) {
  exportFunction<attachDeviceProgram>(exports, "attachDeviceProgram");
}

}  // namespace tandem
