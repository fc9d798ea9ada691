#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

#include "init/proc.h"
#include "init/report.h"
#include "init/stages.h"
#include "sys/unique_fd.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

namespace tandem {
void becomeRoot(Fields& step) {
  // The maps are written by now; what lies ahead is done as the container's root, whoever that is outside.
  must(setresgid(0, 0, 0), "setresgid", "0");
  must(setresuid(0, 0, 0), "setresuid", "0");
}

namespace {
void setOffsets(const char* offsets) {
  if (offsets[0] == 0) return;
  // While a process is not dumpable, its files in /proc are the machine's root's, who this is not in a user
  // namespace.
  const bool mapped = access("/proc/self/timens_offsets", W_OK) != 0;
  if (mapped) prctl(PR_SET_DUMPABLE, 1);
  writeProc("/proc/self/timens_offsets", offsets);
  if (mapped) prctl(PR_SET_DUMPABLE, 0);
}
}  // namespace

void newTime(Fields& step) {
  // Until somebody is in it the offsets may be set, time_namespaces(7).
  must(unshare(CLONE_NEWTIME), "unshare", "time namespace");
  setOffsets(step.text());
  // Since Linux 6.3 execve(2) would enter as well; before, only those born from now on are in it.
  const UniqueFd made(
      must(open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC), "open", "time namespace"));
  must(setns(made.get(), CLONE_NEWTIME), "setns", "time namespace");
}

void joinTime(Fields& step, const Plan& plan) {
  // Here and not in the addon: it wants a process that shares its memory with nobody.
  must(setns(plan.fd(step.u32()), CLONE_NEWTIME), "setns", "time namespace");
}

void unshareNamespaces(Fields& step) {
  // The cgroup namespace is rooted where its maker is, so it can only be made once the shim has moved this
  // process.
  must(unshare(static_cast<int>(step.u32())), "unshare");
}

void setHost(Fields& step) {
  const char* name = step.text();
  must(sethostname(name, strlen(name)), "sethostname", name);
}

void setDomain(Fields& step) {
  const char* name = step.text();
  must(setdomainname(name, strlen(name)), "setdomainname", name);
}

void raiseLoopback(Fields& step) {
  // A new network namespace has its loopback down; programs expect 127.0.0.1 to answer.
  UniqueFd socket(must(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  ifreq request{};
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  must(ioctl(socket.get(), SIOCSIFFLAGS, &request), "ioctl", "SIOCSIFFLAGS lo");
}

void writeSysctl(Fields& step) {
  // Through the runtime's own /proc: the image could have put anything at its own.
  const char* path = step.text();
  writeProc(path, step.text());
}

}  // namespace tandem
