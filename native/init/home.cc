#include "init/home.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "sys/unique_fd.h"

namespace tandem {
namespace {

char entry[PATH_MAX + 8];

// Where the environment has HOME, or its end.
char** homeIn(char** env) {
  while (*env != nullptr && strncmp(*env, "HOME=", 5) != 0) env++;
  return env;
}

// Fields of a line of passwd(5): name, password, uid, gid, comment, home, shell.
std::string_view field(std::string_view line, int index) {
  for (; index > 0; index--) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {};
    line.remove_prefix(colon + 1);
  }
  return line.substr(0, line.find(':'));
}

void search(std::string_view passwd, std::string_view uid) {
  while (!passwd.empty()) {
    const std::string_view line = passwd.substr(0, passwd.find('\n'));
    passwd.remove_prefix(line.size() < passwd.size() ? line.size() + 1 : line.size());
    if (field(line, 2) != uid) continue;
    const std::string_view home = field(line, 5);
    if (!home.empty()) snprintf(entry, sizeof entry, "HOME=%.*s", static_cast<int>(home.size()), home.data());
    return;
  }
}

}  // namespace

void findHome(char** env) {
  // An empty one is none: shells would take it for the root.
  if (const char* home = *homeIn(env); home != nullptr && home[5] != 0) return;
  strcpy(entry, "HOME=/");
  // O_NONBLOCK: the image may have put a FIFO there.
  UniqueFd file(open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!file || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return;
  const auto size = static_cast<size_t>(status.st_size);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) return;
  char uid[16];
  snprintf(uid, sizeof uid, "%u", getuid());
  search({static_cast<const char*>(mapped), size}, uid);
  munmap(mapped, size);
}

void addHome(char** env) {
  if (entry[0] == 0) return;
  char** home = homeIn(env);
  if (*home == nullptr) home[1] = nullptr;
  *home = entry;
}

}  // namespace tandem
