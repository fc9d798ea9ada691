/* Before each of SQLite's files: what of POSIX wasi-libc lacks. Owners and modes do not exist in WASI, locks are always granted: a
   database has one user at a time. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>

#define F_RDLCK 0
#define F_WRLCK 1
#define F_UNLCK 2
#define F_GETLK 5
#define F_SETLK 6

static inline int fcntl_with_locks(int fd, int command, ...) {
  va_list rest;
  va_start(rest, command);
  int result = 0;
  if (command == F_GETLK)
    va_arg(rest, struct flock *)->l_type = F_UNLCK;
  else if (command != F_SETLK)
    result = fcntl(fd, command, va_arg(rest, int));
  va_end(rest);
  return result;
}
#define fcntl fcntl_with_locks

static inline int fchmod(int fd, mode_t mode) { return (void)fd, (void)mode, 0; }
static inline int chmod(const char *path, mode_t mode) { return (void)path, (void)mode, 0; }
static inline int fchown(int fd, uid_t user, gid_t group) { return (void)fd, (void)user, (void)group, 0; }
static inline uid_t geteuid(void) { return 0; }
static inline uid_t getuid(void) { return 0; }
static inline mode_t umask(mode_t mode) { return (void)mode, 022; }
