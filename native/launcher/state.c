#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

enum { maxState = 1 << 20 };

// Absolute and without a way out: these paths are acted on as root.
static bool isSafePath(const char *path) {
  if (path[0] != '/' || path[1] == 0 || strlen(path) >= maxPath) return false;
  for (const char *part = path; part != NULL; part = strchr(part + 1, '/'))
    if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == 0)) return false;
  return true;
}

static void parsePid(const char *value, State *out) {
  char *end = NULL;
  errno = 0;
  const unsigned long long pid = strtoull(value, &end, 10);
  if (errno != 0 || end == value || *end != ' ' || pid <= 1 || pid > 1 << 22) return;
  const char *startText = end + 1;
  const unsigned long long startTime = strtoull(startText, &end, 10);
  if (errno != 0 || end == startText || *end != 0) return;
  out->pid = (pid_t)pid;
  out->startTime = startTime;
}

static void addPath(const char *value, const char **list, size_t *count) {
  if (isSafePath(value) && *count < maxStateEntries) list[(*count)++] = value;
}

static void parseLine(char *line, State *out) {
  char *space = strchr(line, ' ');
  if (space == NULL) return;
  *space = 0;
  const char *value = space + 1;
  if (strcmp(line, "pid") == 0)
    parsePid(value, out);
  else if (strcmp(line, "cgroup") == 0)
    addPath(value, out->cgroups, &out->cgroupCount);
  else if (strcmp(line, "mount") == 0)
    addPath(value, out->mounts, &out->mountCount);
  else if (strcmp(line, "poststop") == 0 && out->hookCount < maxStateEntries)
    out->hooks[out->hookCount++] = value;
  else if (strcmp(line, "socket") == 0 && isSafePath(value))
    out->socket = value;
}

void readState(State *out) {
  memset(out, 0, sizeof *out);
  const int fd = open("tandem.state", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno != ENOENT) warn(errno, "tandem.state", NULL);
    return;
  }
  struct stat status;
  Bytes text = {NULL, 0};
  const bool ours = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
                    (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!ours)
    warn(0, "tandem.state: not a file of ours alone, left unread", NULL);
  else if (!readAll(fd, maxState, &text))
    warn(errno, "tandem.state", NULL);
  close(fd);
  // A NUL would let a path end before the place that was checked.
  if (text.length == 0 || memchr(text.data, 0, text.length) != NULL) return;
  char *rest = NULL;
  for (char *line = strtok_r(text.data, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
    parseLine(line, out);
}
