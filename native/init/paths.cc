#include "init/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "init/report.h"

namespace tandem {
namespace {

constexpr int maxLinks = 40;  // as many as the kernel follows, path_resolution(7)
// Of a lookup that the kernel gives up because something was renamed or mounted meanwhile, openat2(2).
constexpr int maxAttempts = 1000;
int rootFd = -1;

struct Path {
  char text[PATH_MAX];

  void join(const char* directory, size_t length, const char* name) {
    if (snprintf(text, sizeof text, "%.*s/%s", static_cast<int>(length), directory, name) >=
        static_cast<int>(sizeof text))
      fail("openat2", name, ENAMETOOLONG);
  }
};

const char* lastComponent(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

int resolve(const char* path, Kind kind, int links);

bool isSymlink(int fd) {
  struct stat status {};
  return fstat(fd, &status) != 0 || S_ISLNK(status.st_mode);
}

// Makes the last component of path in the directory that holds it.
int makeMissing(int directory, const char* path, Kind kind, int links) {
  const char* name = lastComponent(path);
  int made = -1;
  if (kind == Kind::directory) {
    made = mkdirat(directory, name, 0755);
  } else {
    made = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (made >= 0) close(made);
  }
  if (made >= 0) {
    // Somebody with a hand in this directory (a volume) may have put a symlink in its place already.
    const int fd = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && !isSymlink(fd)) return fd;
    if (fd >= 0) close(fd);
    return resolve(path, kind, links + 1);
  }
  if (errno != EEXIST) fail(kind == Kind::directory ? "mkdir" : "create", path, errno);
  // A symlink to nothing, like /etc/resolv.conf in many images: what it points to is made, inside the root.
  Path target;
  const ssize_t length = readlinkat(directory, name, target.text, sizeof target.text - 1);
  // No symlink (EINVAL), or gone: somebody has just made or removed it.
  if (length < 0) return resolve(path, kind, links + 1);
  target.text[length] = 0;
  if (target.text[0] == '/') return resolve(target.text, kind, links + 1);
  Path joined;
  joined.join(path, static_cast<size_t>(name - path), target.text);
  return resolve(joined.text, kind, links + 1);
}

// Opens a path whose end may be missing. Up to what is there and down again in loops: 2000 components would
// be too many for the stack. `links` counts the symlinks that led here.
int resolve(const char* path, Kind kind, int links) {
  if (links > maxLinks) fail("openat2", path, ELOOP);
  Path whole;
  size_t length = strlen(path);
  while (length > 0 && path[length - 1] == '/') length--;
  if (length >= sizeof whole.text) fail("openat2", path, ENAMETOOLONG);
  memcpy(whole.text, path, length);
  whole.text[length] = 0;
  const size_t end = length;
  int found;
  while ((found = openInRoot(length == 0 ? "/" : whole.text)) < 0) {
    if (errno != ENOENT || length == 0) fail("openat2", path, errno);
    while (length > 0 && whole.text[length - 1] != '/') length--;
    while (length > 0 && whole.text[length - 1] == '/') length--;
    whole.text[length] = 0;
  }
  while (length < end) {
    while (path[length] == '/') length++;
    while (length < end && path[length] != '/') length++;
    memcpy(whole.text, path, length);
    whole.text[length] = 0;
    const int made = makeMissing(found, whole.text, length == end ? kind : Kind::directory, links);
    close(found);
    found = made;
  }
  return found;
}

}  // namespace

void setRoot(int fd) {
  if (rootFd >= 0) close(rootFd);
  rootFd = fd;
}

int root() {
  // An exec has joined a container whose root is "/" already.
  if (rootFd < 0) rootFd = must(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/");
  return rootFd;
}

int openInRoot(const char* path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  int fd = -1;
  for (int attempt = 0; attempt < maxAttempts; attempt++) {
    fd = static_cast<int>(syscall(SYS_openat2, root(), path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd;
}

int openOrMake(const char* path, Kind kind) {
  return resolve(path, kind, 0);
}

int openParent(const char* path, const char** name) {
  *name = lastComponent(path);
  Path parent;
  parent.join(path, static_cast<size_t>(*name - path), "");
  return resolve(parent.text, Kind::directory, 0);
}

FdPath::FdPath(int fd) {
  snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
}

}  // namespace tandem
