#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "launcher.h"

const char *runDirectory(void) {
  const char *given = getenv("TANDEM_RUN_DIR");
  if (given == NULL || given[0] == 0) return "/run/tandem";
  if (given[0] != '/') fail(0, "TANDEM_RUN_DIR ", given, ": not an absolute path", NULL);
  return given;
}

const char *libDirectory(void) {
  static char path[maxPath];
  if (path[0] != 0) return path;
  // dist/bin/containerd-shim-tandem-v1 → dist/lib/tandem, wherever it is installed and through whatever link
  // it was found.
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "/lib/tandem");
  if (length <= 0) return "";
  path[length] = 0;
  for (int up = 0; up < 2; up++) {
    char *slash = strrchr(path, '/');
    if (slash != NULL) *slash = 0;
  }
  strcat(path, "/lib/tandem");
  return path;
}

const char *buildId(void) {
  static char id[17];
  char path[maxPath];
  if (id[0] != 0) return id;
  if (!concat(path, sizeof path, libDirectory(), "/build-id", NULL)) return NULL;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  const ssize_t length = read(fd, id, sizeof id - 1);
  close(fd);
  const size_t hex = strspn(id, "0123456789abcdef");
  if (length < 8 || hex < 8) return NULL;
  id[hex] = 0;
  return id;
}

// What runs as root takes orders from these directories: nobody else may put anything there.
static void checkOwn(const char *path) {
  struct stat status;
  if (lstat(path, &status) != 0) fail(errno, path, NULL);
  if (!S_ISDIR(status.st_mode)) fail(ENOTDIR, path, NULL);
  if (status.st_uid != geteuid()) fail(0, path, ": belongs to another user", NULL);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) fail(0, path, ": writable by others", NULL);
}

static void makeParents(const char *path) {
  char part[maxPath];
  if (!concat(part, sizeof part, path, NULL)) fail(ENAMETOOLONG, path, NULL);
  for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdir(part, 0700) != 0 && errno != EEXIST) fail(errno, "mkdir ", part, NULL);
    *slash = '/';
  }
}

void makeOwnDirectory(const char *path) {
  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    if (errno != ENOENT) fail(errno, "mkdir ", path, NULL);
    makeParents(path);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) fail(errno, "mkdir ", path, NULL);
  }
  checkOwn(path);
}

// Who may set no groups leaves a guest those of the zygote.
static void hashGroups(Sha256 *hash) {
  const gid_t gid = getegid();
  sha256Add(hash, &gid, sizeof gid);
  static gid_t groups[65536];  // NGROUPS_MAX
  const int count = getgroups(sizeof groups / sizeof *groups, groups);
  if (count < 0) fail(errno, "getgroups", NULL);
  sha256Add(hash, groups, (size_t)count * sizeof *groups);
}

// A zygote's children live in its namespaces and have its capabilities: each set of them has a zygote of its
// own.
static void hashSurroundings(char out[sha256HexSize]) {
  static const char *const links[] = {"/proc/self/ns/mnt", "/proc/self/ns/net", "/proc/self/ns/pid",
                                      "/proc/self/ns/ipc", "/proc/self/ns/uts", "/proc/self/ns/cgroup",
                                      "/proc/self/ns/user"};
  Sha256 hash;
  sha256Init(&hash);
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    char target[64];
    const ssize_t length = readlink(links[i], target, sizeof target);
    if (length > 0) sha256Add(&hash, target, (size_t)length);
  }
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, sets) != 0) fail(errno, "capget", NULL);
  for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
    sha256Add(&hash, &sets[i].effective, sizeof sets[i].effective);
  if ((sets[0].effective & (1U << CAP_SETGID)) == 0) hashGroups(&hash);
  sha256Hex(&hash, out);
}

void zygoteDirectory(char *out, size_t size) {
  const char *id = buildId();
  if (libDirectory()[0] == 0)
    fail(0, "/proc: is not there; without it nobody knows where this program is installed", NULL);
  if (id == NULL) fail(0, libDirectory(), "/build-id: missing; this is not a complete installation", NULL);
  char surroundings[sha256HexSize], parent[maxPath];
  hashSurroundings(surroundings);
  surroundings[16] = 0;
  if (!concat(parent, sizeof parent, runDirectory(), "/z", NULL) ||
      !concat(out, size, parent, "/", id, "-", surroundings, NULL))
    fail(ENAMETOOLONG, runDirectory(), NULL);
  makeOwnDirectory(runDirectory());
  makeOwnDirectory(parent);
  makeOwnDirectory(out);
}

void groupSocketPath(const Options *options, const char *group, char *out, size_t size) {
  const char *const parts[] = {options->address, options->namespace, group};
  char name[sha256HexSize];
  Sha256 hash;
  sha256Init(&hash);
  // With its NUL each part ends unmistakably; the last one needs none.
  for (size_t i = 0; i < 3; i++) sha256Add(&hash, parts[i], strlen(parts[i]) + (i < 2));
  sha256Hex(&hash, name);
  if (!concat(out, size, runDirectory(), "/s/", name, NULL))
    fail(ENAMETOOLONG, runDirectory(), "/s/", name, NULL);
}

int lockSocket(const char *socketPath, bool wait) {
  char path[maxPath];
  const char *name = strrchr(socketPath, '/');
  if (name == NULL || !concat(path, sizeof path, socketPath, NULL)) return errno = EINVAL, -1;
  strcpy(path + (name - socketPath), "/.lock");
  char digits[16] = {0};
  memcpy(digits, name + 1, strnlen(name + 1, 15));
  struct flock lock = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)strtoull(digits, NULL, 16), .l_len = 1};
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  // An open-file-description lock ends with its last descriptor, also when the holder is killed.
  int result = 0;
  do {
    result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int probeSocket(const char *socketPath) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!concat(address.sun_path, sizeof address.sun_path, socketPath, NULL)) return ENAMETOOLONG;
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int error = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
  close(fd);
  // A full backlog is a busy listener.
  if (error == EAGAIN) error = 0;
  return error;
}

int listenAt(const char *socketPath, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!concat(address.sun_path, sizeof address.sun_path, socketPath, NULL))
    fail(ENAMETOOLONG, "socket ", socketPath, " (choose a shorter TANDEM_RUN_DIR)", NULL);
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0) fail(errno, "socket", NULL);
  const mode_t previous = umask(0177);  // 0600 before anybody can connect
  const int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
  const int error = errno;
  umask(previous);
  if (bound != 0) fail(error, "bind ", socketPath, NULL);
  setUndo(socketPath);
  if (listen(fd, SOMAXCONN) != 0) fail(errno, "listen ", socketPath, NULL);
  return fd;
}
