// Making, filling and removing the directories of a cgroup: on the path of every container, so each is one call from
// JavaScript and as few system calls as the kernel allows (no stat before mkdir, no read before rmdir).
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "addon/call.h"
#include "addon/groups.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

std::vector<std::string> strings(const Napi::Value& value) {
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> result;
  result.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i).As<Napi::String>().Utf8Value());
  return result;
}

std::string parentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string readSmall(const std::string& path) {
  UniqueFd fd(checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open", path));
  char buffer[4096];
  ssize_t length = checked(read(fd.get(), buffer, sizeof buffer), "read", path);
  while (length > 0 && buffer[length - 1] == '\n') --length;
  return std::string(buffer, static_cast<size_t>(length));
}

void writeSmall(const std::string& path, const std::string& data) {
  UniqueFd fd(checked(open(path.c_str(), O_WRONLY | O_CLOEXEC), "open", path));
  checked(write(fd.get(), data.data(), data.size()), "write", path);
}

// A v1 cpuset is born without cpus and memory nodes and refuses every process until it has both (cpusets.rst §1.9),
// unless its parent has cgroup.clone_children.
void inheritCpuset(const std::string& directory) {
  if (!readSmall(directory + "/cpuset.cpus").empty()) return;
  const std::string parent = parentOf(directory);
  if (readSmall(parent + "/cpuset.cpus").empty()) inheritCpuset(parent);
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) writeSmall(directory + file, readSmall(parent + file));
}

class Creation {
 public:
  // Removes what was made, newest first, unless everything succeeded. A directory that somebody else uses by now stays.
  ~Creation() {
    if (committed_) return;
    for (auto made = made_.rbegin(); made != made_.rend(); ++made) rmdir(made->c_str());
  }
  // False when the directory was there before.
  bool make(const std::string& directory, bool isCpuset) {
    if (mkdir(directory.c_str(), 0755) != 0) {
      if (errno == EEXIST) return false;
      if (errno != ENOENT) throw ErrnoError(errno, "mkdir", directory);
      makeParent(parentOf(directory), isCpuset);
      checked(mkdir(directory.c_str(), 0755), "mkdir", directory);
    }
    made_.push_back(directory);
    return true;
  }
  void commit() { committed_ = true; }

 private:
  void makeParent(const std::string& directory, bool isCpuset) {
    if (directory.empty()) throw ErrnoError(ENOENT, "mkdir", "/");
    if (!make(directory, isCpuset) || !isCpuset) return;
    inheritCpuset(directory);
    // Saves the containers to come the copying.
    writeSmall(directory + "/cgroup.clone_children", "1");
  }

  std::vector<std::string> made_;
  bool committed_ = false;
};

Napi::Value makeCgroups(const Napi::CallbackInfo& info) {
  const auto directories = strings(info[0]);
  const std::string cpuset = info[1].As<Napi::String>();
  Napi::Array existing = Napi::Array::New(info.Env());
  Creation creation;
  for (const std::string& directory : directories) {
    if (!creation.make(directory, directory == cpuset)) existing.Set(existing.Length(), directory);
    if (directory == cpuset) inheritCpuset(directory);
  }
  creation.commit();
  return existing;
}

Napi::Value removeCgroups(const Napi::CallbackInfo& info) {
  Napi::Array busy = Napi::Array::New(info.Env());
  for (const std::string& directory : strings(info[0])) {
    if (rmdir(directory.c_str()) == 0 || errno == ENOENT || errno == ENODEV) continue;
    if (errno != EBUSY && errno != ENOTEMPTY) throw ErrnoError(errno, "rmdir", directory);
    busy.Set(busy.Length(), directory);
  }
  return busy;
}

Napi::Value writeFiles(const Napi::CallbackInfo& info) {
  const auto pairs = strings(info[0]);
  UniqueFd fd;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    // devices.allow takes one rule per write: the descriptor is kept while the path stays the same.
    if (i == 0 || pairs[i] != pairs[i - 2]) {
      fd.reset(checked(open(pairs[i].c_str(), O_WRONLY | O_CLOEXEC), "open", pairs[i]));
    }
    checked(write(fd.get(), pairs[i + 1].data(), pairs[i + 1].size()), "write", pairs[i]);
  }
  return info.Env().Undefined();
}

// cgroup v1 memory.rst §10: the event descriptor and that of memory.oom_control, written to cgroup.event_control.
Napi::Value oomEventFd(const Napi::CallbackInfo& info) {
  const std::string directory = info[0].As<Napi::String>();
  UniqueFd event(checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd"));
  const std::string path = directory + "/memory.oom_control";
  UniqueFd control(checked(open(path.c_str(), O_RDONLY | O_CLOEXEC), "open", path));
  writeSmall(directory + "/cgroup.event_control",
             std::to_string(event.get()) + " " + std::to_string(control.get()));
  return Napi::Number::New(info.Env(), event.release());
}

}  // namespace

void exportCgroup(Napi::Object exports) {
  exportFunction<makeCgroups>(exports, "makeCgroups");
  exportFunction<removeCgroups>(exports, "removeCgroups");
  exportFunction<writeFiles>(exports, "writeFiles");
  exportFunction<oomEventFd>(exports, "oomEventFd");
}

}  // namespace tandem
