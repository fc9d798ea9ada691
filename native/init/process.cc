#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "init/console.h"
#include "init/home.h"
#include "init/paths.h"
#include "init/report.h"
#include "init/stages.h"

namespace tandem {
namespace {

constexpr int ioPriorityProcess = 1;  // IOPRIO_WHO_PROCESS, ioprio_set(2)
char executable[PATH_MAX];

// sched_setattr(2); glibc has no declaration. With the clamps, without which the kernel refuses their flags;
// the specification has no values for them, so they are 0 as with every runtime.
struct SchedulerAttributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
  uint32_t clampMinimum, clampMaximum;
};

// 0 when the current user may execute the file, or the errno that says why not.
int tryExecutable(const char* path) {
  struct stat status {};
  if (stat(path, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  // A seccomp profile from before faccessat2(2) answers EPERM, and we are behind it: then execve(2) finds
  // out.
  if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0 && (errno != EPERM || (status.st_mode & 0111) == 0))
    return errno;
  // Root passes access(2) on anything that has one x bit, and execve(2) wants a regular file.
  return S_ISREG(status.st_mode) ? 0 : EACCES;
}

const char* searchPath(char** env) {
  for (; *env != nullptr; env++)
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

[[noreturn]] void refuse(const char* file, const char* reason, int error) {
  char text[PATH_MAX + 64];
  // The wording that Docker and its tests look for.
  snprintf(text, sizeof text, "exec: \"%s\"", file);
  failBecause(reason, text, error);
}

// Whoever created this container is gone; its `start` connects. A starter that ends before it has said so
// changes nothing.
void awaitStarter(int listener) {
  for (;;) {
    const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      fail("accept4", "start", errno);
    }
    must(dup3(connection, shimSocket, O_CLOEXEC), "dup3", "start");
    close(connection);
    if (hears(ToInit::start)) break;
  }
  close(listener);
}

}  // namespace

void newSession(Fields& step) {
  // A container is no part of the shim's session, and a terminal needs a leader without one.
  must(setsid(), "setsid");
}

void newKeyring() {
  // Keys of whoever started containerd are not the container's. Without a name, so that nobody who guesses it
  // can have a keyring of his own there already. A kernel without keys has none to protect.
  if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) == -1 && errno != ENOSYS)
    fail("keyctl", "join session keyring", errno);
}

void setLimit(Fields& step) {
  const auto resource = static_cast<__rlimit_resource_t>(step.u32());
  rlimit limit{};
  limit.rlim_cur = step.u64();
  limit.rlim_max = step.u64();
  must(setrlimit(resource, &limit), "setrlimit");
}

void setPersonality(Fields& step) {
  must(personality(step.u32()), "personality");
}

void setScheduler(Fields& step) {
  SchedulerAttributes attributes{};
  attributes.size = sizeof attributes;
  attributes.policy = step.u32();
  attributes.flags = step.u64();
  attributes.nice = static_cast<int32_t>(step.u32());
  attributes.priority = step.u32();
  attributes.runtime = step.u64();
  attributes.deadline = step.u64();
  attributes.period = step.u64();
  must(static_cast<int>(syscall(SYS_sched_setattr, 0, &attributes, 0)), "sched_setattr");
}

void setIoPriority(Fields& step) {
  must(static_cast<int>(syscall(SYS_ioprio_set, ioPriorityProcess, 0, step.u32())), "ioprio_set");
}

void setAffinity(Fields& step) {
  uint32_t length = 0;
  const void* mask = step.bytes(&length);
  must(static_cast<int>(syscall(SYS_sched_setaffinity, 0, length, mask)), "sched_setaffinity");
}

void setMemoryPolicy(Fields& step) {
  // Survives execve(2), and whatever the program starts inherits it.
  const uint32_t mode = step.u32();
  uint32_t length = 0;
  const void* nodes = step.bytes(&length);
  // The kernel takes one bit fewer than it is told of, set_mempolicy(2).
  const unsigned long bits = length == 0 ? 0 : length * 8UL + 1;
  must(syscall(SYS_set_mempolicy, mode, length == 0 ? nullptr : nodes, bits), "set_mempolicy");
}

void setUmask(Fields& step) {
  umask(step.u32());
}

void enterCwd(Fields& step) {
  static bool isThere = false;
  const char* path = step.text();
  const bool ahead = step.flag();
  const bool make = step.flag();
  // Never through a magic link of /proc: a leaked descriptor would lead anywhere (CVE-2024-21626).
  int directory = openInRoot(path);
  if (ahead) {
    // Runtimes make a missing working directory, as images rely on it, and enter one that is not the user's.
    // As root, because the user may not.
    if (directory < 0 && errno == ENOENT && make) directory = openOrMake(path, Kind::directory);
    isThere = directory >= 0 && fchdir(directory) == 0;
  } else if (directory < 0 || fchdir(directory) != 0) {
    // As the user, because there are directories that are the user's and not root's. Only root could, or a
    // seccomp profile is older than openat2(2): then it is where the step ahead has led.
    if (!isThere || (errno != EACCES && errno != EPERM && errno != ENOSYS)) fail("chdir", path, errno);
  }
  if (directory >= 0) close(directory);
  if (ahead) return;
  char reached[PATH_MAX];
  // And if it did, a directory outside of the root has no path from "/".
  const long length = syscall(SYS_getcwd, reached, sizeof reached);
  // A seccomp profile may not allow the question; a directory that is gone has no path.
  const bool outside = length > 0 ? reached[0] != '/' : !isThere || errno == ENOENT;
  if (outside) failBecause("is outside of the container's root", path, EXDEV);
}

void lookUpExecutable(Fields& step) {
  const char* file = step.text();
  char** env = step.list();
  findHome(env);
  if (strchr(file, '/') != nullptr) {
    const int error = tryExecutable(file);
    if (error == 0) {
      snprintf(executable, sizeof executable, "%s", file);
      return;
    }
    if (error == ENOENT) {
      char reason[PATH_MAX + 64];
      snprintf(reason, sizeof reason, "stat %s: no such file or directory", file);
      refuse(file, reason, error);
    }
    refuse(file,
           error == EACCES   ? "permission denied"
           : error == EISDIR ? "is a directory"
                             : strerrordesc_np(error),
           error);
  }
  bool denied = false;
  for (const char* at = searchPath(env); at != nullptr && file[0] != 0;) {
    const char* colon = strchr(at, ':');
    const auto length = colon == nullptr ? static_cast<int>(strlen(at)) : static_cast<int>(colon - at);
    snprintf(executable, sizeof executable, "%.*s/%s", length == 0 ? 1 : length, length == 0 ? "." : at,
             file);
    const int error = tryExecutable(executable);
    if (error == 0) return;
    if (error == EACCES) denied = true;
    at = colon == nullptr ? nullptr : colon + 1;
  }
  if (denied) refuse(file, "permission denied", EACCES);
  refuse(file, "executable file not found in $PATH", ENOENT);
}

void closeAtExec() {
  static bool done = false;
  if (done) return;
  // Nothing but 0, 1, 2 and what is preserved may reach the program (CVE-2024-21626); the socket goes at the
  // very moment of success. Whatever is opened from now on is O_CLOEXEC by itself.
  must(static_cast<int>(syscall(SYS_close_range, shimSocket, ~0U, CLOSE_RANGE_CLOEXEC)), "close_range");
  done = true;
}

void reportCreated(Fields& step, const Plan& plan) {
  const uint32_t listener = step.u32();
  closeAtExec();
  tell(ToShim::created, consoleMaster());
  if (listener == atOnce) return;
  if (listener == noDescriptor)
    await(ToInit::start);
  else
    awaitStarter(plan.fd(listener));
}

void execProgram(Fields& step) {
  char** args = step.list();
  char** env = step.list();
  addHome(env);
  execve(executable, args, env);
  const int error = errno;
  char text[PATH_MAX + 16];
  snprintf(text, sizeof text, "exec %s", executable);
  failBecause(error == E2BIG     ? "process.args and process.env are too long together"
              : error == ENOENT  ? "no such file or directory"
              : error == EACCES  ? "permission denied"
              : error == ENOEXEC ? "exec format error"
                                 : strerrordesc_np(error),
              text, error);
}

}  // namespace tandem
