// container-init: performs the plan that the shim computed from config.json, then becomes the container's
// program. Static and without exceptions or streams: every page it touches before execve is on the way to the
// first byte of output.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/join.h"
#include "init/plan.h"
#include "init/report.h"
#include "init/stages.h"

namespace tandem {
namespace {

Plan receivePlan() {
  char kind = 0;
  iovec data{&kind, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(Plan::fds))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t length;
  do length = recvmsg(shimSocket, &header, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length != 1 || kind != static_cast<char>(ToInit::plan)) _exit(1);
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS || rights->cmsg_len < CMSG_LEN(sizeof(int)))
    _exit(1);
  Plan plan;
  plan.fdCount = static_cast<uint32_t>((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
  memcpy(plan.fds, CMSG_DATA(rights), plan.fdCount * sizeof(int));
  // The first descriptor is the plan itself: it may be larger than a message, and is mapped without copying.
  struct stat status {};
  must(fstat(plan.fds[0], &status), "fstat", "plan");
  const auto size = static_cast<size_t>(status.st_size);
  void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, plan.fds[0], 0);
  if (mapped == MAP_FAILED) fail("mmap", "plan", errno);
  close(plan.fds[0]);
  plan.begin = static_cast<const char*>(mapped);
  plan.end = plan.begin + size;
  return plan;
}

void perform(Op op, Fields& step, const Plan& plan) {
  switch (op) {
    case Op::becomeRoot:
      return becomeRoot(step);
    case Op::newTime:
      return newTime(step);
    case Op::joinTime:
      return joinTime(step, plan);
    case Op::unshare:
      return unshareNamespaces(step);
    case Op::session:
      return newSession(step);
    case Op::keyring:
      return newKeyring();
    case Op::propagation:
      return setPropagation(step);
    case Op::rootfs:
      return enterRootfs(step);
    case Op::mount:
      return mountFilesystem(step, plan);
    case Op::bind:
      return bindMount(step, plan);
    case Op::symlink:
      return makeSymlink(step);
    case Op::mknod:
      return makeNode(step);
    case Op::sysctl:
      return writeSysctl(step);
    case Op::hostname:
      return setHost(step);
    case Op::domainname:
      return setDomain(step);
    case Op::loopback:
      return raiseLoopback(step);
    case Op::runtimeHooks:
      tell(ToShim::runtimeHooks);
      return await(ToInit::proceed);
    case Op::hook:
      return runHook(step);
    case Op::root:
      return changeRoot(step);
    case Op::attributes:
      return setAttributes(step);
    case Op::mask:
      return maskPath(step);
    case Op::console:
      return openConsole(step);
    case Op::rlimit:
      return setLimit(step);
    case Op::personality:
      return setPersonality(step);
    case Op::scheduler:
      return setScheduler(step);
    case Op::ioPriority:
      return setIoPriority(step);
    case Op::affinity:
      return setAffinity(step);
    case Op::enterRoot:
      return enterRoot(step, plan);
    case Op::unmount:
      return unmountTree(step);
    case Op::slave:
      return makeSlave(step);
    case Op::memoryPolicy:
      return setMemoryPolicy(step);
    case Op::umask:
      return setUmask(step);
    case Op::label:
      return setLabel(step);
    case Op::stdioOwner:
      return ownStdio(step);
    case Op::bounding:
      return dropBounding(step);
    case Op::user:
      return becomeUser(step);
    case Op::capabilities:
      return setCapabilities(step);
    case Op::noNewPrivileges:
      return forbidNewPrivileges(step);
    case Op::seccomp:
      return installFilter(step);
    case Op::cwd:
      return enterCwd(step);
    case Op::lookup:
      return lookUpExecutable(step);
    case Op::created:
      return reportCreated(step, plan);
    case Op::exec:
      execProgram(step);
  }
  fail("plan", "unknown step", EINVAL);
}

}  // namespace

const char* Fields::take(size_t length) {
  if (length > static_cast<size_t>(end_ - at_)) malformed("truncated step");
  const char* result = at_;
  at_ += length;
  return result;
}

void Fields::malformed(const char* what) {
  fail("plan", what, EINVAL);
}

char** Fields::list() {
  const size_t count = u32();
  // A string takes five bytes at least.
  if (count > static_cast<size_t>(end_ - at_) / 5) malformed("truncated list");
  // One more than asked for: HOME may be added to an environment.
  auto** result = static_cast<char**>(sbrk(static_cast<intptr_t>((count + 2) * sizeof(char*))));
  if (result == reinterpret_cast<char**>(-1)) fail("plan", "list", ENOMEM);
  for (size_t i = 0; i < count; i++) result[i] = const_cast<char*>(text());
  result[count] = nullptr;
  return result;
}

int Plan::fd(uint32_t index) const {
  if (index >= fdCount - 1) fail("plan", "descriptor", EBADF);
  return fds[index + 1];
}

}  // namespace tandem

int main(int count, char** arguments) {
  using namespace tandem;
  if (count > 1) shimSocket = atoi(arguments[1]);
  // Nobody in a joined namespace may look into this process, or reach host files through its descriptors
  // (CVE-2016-9962).
  prctl(PR_SET_DUMPABLE, 0);
  // It ends at execve: no hook may speak for this process, and the shim sees the end of the file when the
  // program starts.
  fcntl(shimSocket, F_SETFD, FD_CLOEXEC);
  joinNamespaces(count, arguments);
  if (count > 2 && atoi(arguments[2]) != 0) {
    // In a new user namespace there is nobody else yet, and a maker who is not root may only write the maps
    // of a process that is dumpable: its files in /proc are then the maker's (proc(5)).
    prctl(PR_SET_DUMPABLE, 1);
    tell(ToShim::mappable);
  }
  const Plan plan = receivePlan();
  prctl(PR_SET_DUMPABLE, 0);
  for (const char* at = plan.begin; at < plan.end;) {
    Fields head(at, plan.end);
    const Op op{head.u32()};
    const uint32_t length = head.u32();
    at += 8;
    if (length > static_cast<size_t>(plan.end - at)) fail("plan", "truncated step", EINVAL);
    Fields step(at, at + length);
    setProperty(step.text());
    perform(op, step, plan);
    at += length;
  }
  failBecause("plan has no exec", "", EINVAL);
}
