#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

enum { maxMountinfo = 64 << 20, unmountRounds = 40, gentleRounds = 20 };

// The kernel writes space, tab, newline and backslash in a path as \ooo.
static void decodeOctal(char *path) {
  char *out = path;
  for (const char *at = path; *at != 0;) {
    const bool escaped = at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
                         at[3] >= '0' && at[3] <= '7';
    *out++ = escaped ? (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0')) : *at;
    at += escaped ? 4 : 1;
  }
  *out = 0;
}

static bool isAtOrBelow(const char *path, const char *root) {
  const size_t length = strlen(root);
  return strncmp(path, root, length) == 0 && (path[length] == 0 || path[length] == '/');
}

// The mount point in a line of mountinfo (proc(5): the fifth field), decoded in place; NULL for a line
// without one.
static char *mountPoint(char *line) {
  for (int field = 0; field < 4; field++) {
    line = strchr(line, ' ');
    if (line == NULL) return NULL;
    line++;
  }
  char *end = strchr(line, ' ');
  if (end == NULL) return NULL;
  *end = 0;
  decodeOctal(line);
  return line;
}

// One pass over the mounts, the last made first, which is also the deepest first. Returns how many there
// were; 0 when done.
static size_t unmountOnce(const char *root, int flags) {
  Bytes text;
  if (!readFile("/proc/self/mountinfo", maxMountinfo, &text)) {
    warn(errno, "/proc/self/mountinfo", NULL);
    return 0;
  }
  size_t found = 0;
  for (char *end = text.data + text.length; end > text.data;) {
    if (end[-1] == '\n') *--end = 0;
    char *line = memrchr(text.data, '\n', (size_t)(end - text.data));
    line = line == NULL ? text.data : line + 1;
    end = line;
    char *path = mountPoint(line);
    if (path == NULL || !isAtOrBelow(path, root)) continue;
    found++;
    // NOFOLLOW: what was a mount point may be the container's symbolic link by now.
    if (umount2(path, UMOUNT_NOFOLLOW | flags) != 0 && errno != EBUSY && errno != EINVAL && errno != ENOENT)
      warn(errno, "umount ", path, NULL);
  }
  return found;
}

// The clean case without the whole machine's mount table: a directory that is no mount point and has nothing
// in it.
static bool isUntouched(const char *path) {
  struct statx status;
  if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) != 0) return errno == ENOENT;
  if ((status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0 ||
      (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0)
    return false;
  DIR *directory = opendir(path);
  if (directory == NULL) return false;
  bool empty = true;
  for (struct dirent *entry; empty && (entry = readdir(directory)) != NULL;)
    empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
  closedir(directory);
  return empty;
}

void unmountBelow(const char *path) {
  if (isUntouched(path)) return;
  for (int round = 0; round < unmountRounds; round++) {
    // EBUSY passes when the last process has let go; a mount that somebody else keeps busy is detached
    // instead.
    if (unmountOnce(path, round < gentleRounds ? 0 : MNT_DETACH) == 0) return;
    if (round > 0) sleepMilliseconds(5);
  }
  warn(EBUSY, "umount ", path, NULL);
}
