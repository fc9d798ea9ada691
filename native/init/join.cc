#include "init/join.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/report.h"
#include "sys/birth_report.h"

namespace tandem {
namespace {

constexpr int firstType = 4;

[[noreturn]] void report(int to, const BirthReport& birth) {
  const ssize_t written = write(to, &birth, sizeof birth);
  _exit(written == sizeof birth ? 0 : 1);
}

// Namespaces of the runtime's owner first, then the user namespace, then those that only its root may enter.
// Returns a pid of 0, or of -1 and which could not be entered.
BirthReport enterAll(int first, int count, char** types) {
  uint32_t entered = 0;
  bool user = false;
  for (int i = 0; i < count; i++) user = user || atoi(types[i]) == CLONE_NEWUSER;
  for (int pass = user ? 0 : 2; pass < 3; pass++) {
    for (int i = 0; i < count; i++) {
      const int type = atoi(types[i]);
      if ((entered >> i & 1) != 0 || (pass == 1) != (type == CLONE_NEWUSER)) continue;
      if (setns(first + i, type) == 0)
        entered |= 1U << i;
      else if (pass > 0 || errno != EPERM)
        return {-1, errno, type};
    }
  }
  // They are the container's own, but no program's business.
  for (int i = 0; i < count; i++) close(first + i);
  return {0, 0, 0};
}

// A child that is the maker's own; no memory is shared with anybody.
pid_t bear(uint64_t newNamespaces) {
  struct {
    uint64_t flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls;
  } args{};
  args.flags = CLONE_PARENT | newNamespaces;
  return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace

void joinNamespaces(int count, char** arguments) {
  if (count <= firstType) return;
  const int first = shimSocket + 1, joins = count - firstType;
  const int reporter = first + joins;
  const BirthReport entered = enterAll(first, joins, arguments + firstType);
  if (entered.pid < 0) report(reporter, entered);
  const pid_t pid = bear(strtoull(arguments[3], nullptr, 10));
  if (pid != 0) report(reporter, {pid, errno, 0});
  close(reporter);
}

}  // namespace tandem
