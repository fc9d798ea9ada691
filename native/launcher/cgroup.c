#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "launcher.h"

enum { killBudgetMs = 1000, removeBudgetMs = 500, maxCgroupDepth = 32 };

void killProcess(pid_t pid, uint64_t startTime) {
  if (pid <= 1 || pid == getpid()) return;
  // The pidfd first, the check second: from then on the pid cannot become somebody else's under our hands.
  const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return;
  ProcessStat stat;
  if (readStat(pid, &stat) && stat.startTime == startTime &&
      syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
    warn(errno, "kill", NULL);
  close(pidfd);
}

// A cgroup below a hierarchy's root; -1 for whatever else a path may name. No symbolic link is followed at
// its end.
static int openCgroup(const char *path) {
  const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -1;
  struct statfs fs;
  struct stat self, parent;
  // A group of resctrl is removed like a cgroup, and has no list of members to kill.
  const bool isCgroup =
      fstatfs(fd, &fs) == 0 && (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC ||
                                fs.f_type == RDTGROUP_SUPER_MAGIC);
  // The root of a hierarchy holds the whole machine; its parent directory is on another file system.
  if (isCgroup && fstat(fd, &self) == 0 && fstatat(fd, "..", &parent, 0) == 0 && self.st_dev == parent.st_dev)
    return fd;
  close(fd);
  return -1;
}

static void writeControl(int cgroup, const char *name, const char *value) {
  const int fd = openat(cgroup, name, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;  // another version of cgroups has another file for it
  if (!writeAll(fd, value, strlen(value)) && errno != EOPNOTSUPP && errno != ENODEV) warn(errno, name, NULL);
  close(fd);
}

typedef bool Visit(int cgroup, void *context);

// The cgroup's children first, then itself; stops at the first false.
static bool walk(int cgroup, Visit *visit, void *context, int depth) {
  DIR *directory =
      depth < maxCgroupDepth ? fdopendir(openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) : NULL;
  bool go = true;
  for (struct dirent *entry; directory != NULL && go && (entry = readdir(directory)) != NULL;) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    const int child = openat(cgroup, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (child < 0) continue;
    go = walk(child, visit, context, depth + 1);
    close(child);
  }
  if (directory != NULL) closedir(directory);
  return go && visit(cgroup, context);
}

static bool readMembers(int cgroup, Bytes *out) {
  const int fd = openat(cgroup, "cgroup.procs", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = readAll(fd, 16 << 20, out);
  close(fd);
  return done;
}

// The next pid of a list of lines; 0 at its end.
static pid_t nextPid(const char **at) {
  char *end = NULL;
  const long pid = strtol(*at, &end, 10);
  if (end == *at) return 0;
  *at = end;
  return (pid_t)pid;
}

static bool isWithoutUs(int cgroup, void *context) {
  (void)context;
  Bytes members;
  if (!readMembers(cgroup, &members)) return true;
  const char *at = members.data;
  for (pid_t pid = nextPid(&at); pid != 0; pid = nextPid(&at))
    if (pid == getpid() || pid == getppid()) return false;
  return true;
}

// Counts what is left after a SIGKILL to each.
static bool killMembers(int cgroup, void *context) {
  size_t *left = context;
  Bytes members;
  if (!readMembers(cgroup, &members)) return true;
  const char *at = members.data;
  pid_t pid = nextPid(&at);
  if (pid == 0) return true;
  // A frozen v1 cgroup does not even die; v2 kills through the freezer, and knows a file that kills all at
  // once.
  writeControl(cgroup, "freezer.state", "THAWED");
  writeControl(cgroup, "cgroup.kill", "1");
  for (; pid != 0; pid = nextPid(&at)) {
    (*left)++;
    kill(pid, SIGKILL);
  }
  return true;
}

void killCgroups(const State *state) {
  const uint64_t deadline = monotonicMilliseconds() + killBudgetMs;
  for (size_t i = 0; i < state->cgroupCount; i++) {
    const int cgroup = openCgroup(state->cgroups[i]);
    if (cgroup < 0) continue;
    if (!walk(cgroup, isWithoutUs, NULL, 0)) {
      warn(0, "cgroup ", state->cgroups[i], ": holds containerd, left alone", NULL);
    } else {
      for (;;) {
        size_t left = 0;
        walk(cgroup, killMembers, &left, 0);
        if (left == 0 || monotonicMilliseconds() > deadline) break;
        sleepMilliseconds(2);
      }
    }
    close(cgroup);
  }
}

static bool removeChildren(int cgroup, void *context) {
  (void)context;
  DIR *directory = fdopendir(openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') unlinkat(cgroup, entry->d_name, AT_REMOVEDIR);
  if (directory != NULL) closedir(directory);
  return true;
}

void removeCgroups(const State *state) {
  const uint64_t deadline = monotonicMilliseconds() + removeBudgetMs;
  for (size_t i = state->cgroupCount; i > 0; i--) {
    const char *path = state->cgroups[i - 1];
    for (;;) {
      const int cgroup = openCgroup(path);
      if (cgroup < 0) break;
      walk(cgroup, removeChildren, NULL, 0);
      close(cgroup);
      if (rmdir(path) == 0 || errno != EBUSY) break;
      // A process that was killed keeps its cgroup busy until it has let go of its memory.
      if (monotonicMilliseconds() > deadline) {
        warn(EBUSY, "rmdir ", path, NULL);
        break;
      }
      sleepMilliseconds(2);
    }
  }
}
