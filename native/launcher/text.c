#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

const char *programName = "containerd-shim-tandem-v1";
int failureStatus = 1;
static const char *undoPath;

void setUndo(const char *socketPath) {
  undoPath = socketPath;
}

static bool concatList(char *out, size_t size, va_list parts) {
  size_t used = 0;
  for (const char *part = va_arg(parts, const char *); part != NULL; part = va_arg(parts, const char *)) {
    const size_t length = strlen(part);
    if (length >= size - used) {
      out[used] = 0;
      return false;
    }
    memcpy(out + used, part, length);
    used += length;
  }
  out[used] = 0;
  return true;
}

bool concat(char *out, size_t size, ...) {
  va_list parts;
  va_start(parts, size);
  const bool fits = concatList(out, size, parts);
  va_end(parts);
  return fits;
}

const char *decimal(char *out, uint64_t value) {
  char digits[20];
  size_t count = 0;
  do {
    digits[count++] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  for (size_t i = 0; i < count; i++) out[i] = digits[count - 1 - i];
  out[count] = 0;
  return out;
}

static void report(int error, va_list parts) {
  char line[2 * maxPath];
  size_t used = strlen(programName);
  memcpy(line, programName, used);
  memcpy(line + used, ": ", 3);
  used += 2;
  if (!concatList(line + used, sizeof line - used - 512, parts)) strcat(line, "message too long");
  if (error != 0) {
    strcat(line, ": ");
    strncat(line, strerror(error), 256);
  }
  size_t length = strlen(line);
  // containerd quotes the output of a failed start: one line, whatever was in the parts.
  for (size_t i = 0; i < length; i++)
    if (line[i] == '\n') line[i] = ' ';
  line[length++] = '\n';
  writeAll(STDERR_FILENO, line, length);
}

void warn(int error, ...) {
  va_list parts;
  va_start(parts, error);
  report(error, parts);
  va_end(parts);
}

void fail(int error, ...) {
  if (undoPath != NULL) unlink(undoPath);
  va_list parts;
  va_start(parts, error);
  report(error, parts);
  va_end(parts);
  _exit(failureStatus);
}

bool readAll(int fd, size_t limit, Bytes *out) {
  size_t capacity = 64 * 1024;
  // Pages of a mapping are free until they are touched; a heap would touch its own book-keeping first.
  char *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return false;
  size_t length = 0;
  for (;;) {
    if (length + 1 >= capacity) {
      char *grown = mremap(data, capacity, capacity * 2, MREMAP_MAYMOVE);
      if (grown == MAP_FAILED) break;
      data = grown;
      capacity *= 2;
    }
    const ssize_t count = read(fd, data + length, capacity - length - 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) break;
    if (count == 0) {
      *out = (Bytes){data, length};  // the byte behind it is 0: mappings start zeroed
      return true;
    }
    length += (size_t)count;
    if (length > limit) {
      errno = EFBIG;
      break;
    }
  }
  const int error = errno;
  munmap(data, capacity);
  errno = error;
  return false;
}

bool readFile(const char *path, size_t limit, Bytes *out) {
  // NONBLOCK: a FIFO in a file's place must not hold us.
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  const bool done = readAll(fd, limit, out);
  const int error = errno;
  close(fd);
  errno = error;
  return done;
}

bool writeAll(int fd, const void *data, size_t length) {
  const char *from = data;
  while (length > 0) {
    const ssize_t count = write(fd, from, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    from += count;
    length -= (size_t)count;
  }
  return true;
}
