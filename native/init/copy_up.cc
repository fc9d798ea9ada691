#include "init/copy_up.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/report.h"
#include "sys/unique_fd.h"

namespace tandem {
namespace {

void copyEntry(int from, int to, const char* name, const char* subject);

// O_NONBLOCK: what was looked at may be a FIFO by now.
void copyFile(int from, int to, const char* name, const char* subject) {
  UniqueFd source(must(openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), "open", name));
  UniqueFd target(must(openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), "create", name));
  while (must(sendfile(target.get(), source.get(), nullptr, 1 << 20), "copy", subject) > 0) {
  }
}

void copyLink(int from, int to, const char* name, const char* subject) {
  char content[PATH_MAX];
  const ssize_t length = must(readlinkat(from, name, content, sizeof content - 1), "readlink", subject);
  content[length] = 0;
  must(symlinkat(content, to, name), "symlink", subject);
}

void copyDirectory(int from, int to, const char* name, const char* subject) {
  must(mkdirat(to, name, 0700), "mkdir", subject);
  UniqueFd source(must(openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", name));
  UniqueFd target(must(openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "open", name));
  copyTree(source.get(), target.get(), subject);
}

void copyEntry(int from, int to, const char* name, const char* subject) {
  struct stat status {};
  must(fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW), "stat", name);
  if (S_ISDIR(status.st_mode))
    copyDirectory(from, to, name, subject);
  else if (S_ISREG(status.st_mode))
    copyFile(from, to, name, subject);
  else if (S_ISLNK(status.st_mode))
    copyLink(from, to, name, subject);
  else
    must(mknodat(to, name, status.st_mode, status.st_rdev), "mknod", name);
  must(fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW), "chown", name);
  // After chown, which takes set-uid bits away. A symlink has no mode.
  if (!S_ISLNK(status.st_mode)) must(fchmodat(to, name, status.st_mode & 07777, 0), "chmod", name);
}

}  // namespace

void copyTree(int from, int to, const char* subject) {
  // readdir(3) moves the offset of its descriptor, so it gets one of its own.
  DIR* directory = fdopendir(must(openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", subject));
  if (directory == nullptr) fail("fdopendir", subject, errno);
  while (const dirent* entry = readdir(directory)) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      copyEntry(from, to, entry->d_name, subject);
  }
  closedir(directory);
}

}  // namespace tandem
