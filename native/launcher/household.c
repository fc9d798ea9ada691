// Whose child and in which cgroup a zygote is. A command line is run by whoever has a container at the
// moment: a conmon, in the cgroup of one pod. A zygote that stayed there would be killed with the pod, or
// keep it.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"

// v1 has `tasks`: to move a thread costs no grace period, unlike cgroup.procs, and we have but one.
static void joinRoot(const char *mount, bool unified) {
  char path[maxPath];
  if (!concat(path, sizeof path, mount, unified ? "/cgroup.procs" : "/tasks", NULL)) return;
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  // Not ours to write, without root; then the cgroup is the user's own.
  if (fd < 0) return;
  // EBUSY: the root of a cgroup namespace that has controllers of its own.
  if (write(fd, "0", 1) != 1 && errno != EBUSY) warn(errno, path, NULL);
  close(fd);
}

void leaveCgroups(void) {
  Bytes text;
  if (!readFile("/proc/self/mountinfo", 4 << 20, &text)) return;
  char *rest = text.data;
  for (char *line = strtok_r(rest, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    const char *type = strstr(line, " - cgroup");
    if (type == NULL) continue;
    const bool unified = strncmp(type, " - cgroup2 ", 11) == 0;
    if (!unified && strncmp(type, " - cgroup ", 10) != 0) continue;
    // "id parent major:minor root mountpoint …": only a mount of the whole hierarchy has its root.
    char *fields = line, *field[5] = {NULL};
    for (int i = 0; i < 5; i++) field[i] = strtok_r(fields, " ", &fields);
    if (field[4] == NULL || strcmp(field[3], "/") != 0) continue;
    joinRoot(field[4], unified);
  }
}

bool hasLastingParent(pid_t pid) {
  ProcessStat stat;
  if (!readStat(pid, &stat)) return false;
  const pid_t parent = stat.parent;
  if (parent <= 1) return true;
  char path[64], digits[21];
  Bytes name;
  return concat(path, sizeof path, "/proc/", decimal(digits, (uint64_t)parent), "/comm", NULL) &&
         readFile(path, 64, &name) && strcmp(name.data, "systemd\n") == 0;
}
