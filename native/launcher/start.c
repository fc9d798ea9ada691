#include <errno.h>
#include <fcntl.h>
#include <stdio.h>  // rename(2) is declared here
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher.h"

enum { maxStdin = 1 << 20, maxConfig = 64 << 20, requestFields = 12 };

// The container's own group, unless config.json names a pod. A config.json that is absent or broken is no
// error here: it is the shim's to refuse, with a better line than we have.
static const char *readGroup(const Options *options, Annotations *annotations) {
  const int fd = open("config.json", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status;
  if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
    return options->id;
  if (status.st_size > maxConfig) fail(EFBIG, "config.json", NULL);
  // A populated mapping of the page cache: one fault for the whole file.
  char *json = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  close(fd);
  if (json == MAP_FAILED) fail(errno, "config.json", NULL);
  scanAnnotations(json, (size_t)status.st_size, annotations);
  if (annotations->runcGroup[0] != 0) return annotations->runcGroup;
  if (annotations->sandboxId[0] != 0) return annotations->sandboxId;
  return options->id;
}

static uint8_t *putText(uint8_t *out, const void *data, size_t length) {
  const uint32_t size = (uint32_t)length;  // little endian on every machine that Tandem runs on
  memcpy(out, &size, sizeof size);
  memcpy(out + sizeof size, data, length);
  return out + sizeof size + length;
}

static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? "" : value;
}

// u32 count, then u32 length and bytes of each field; the order is src/zygote/request.ts's.
static Bytes buildRequest(const Options *options, const char *group, const char *socketPath,
                          const Bytes *stdinBytes) {
  static char bundle[maxPath];
  if (getcwd(bundle, sizeof bundle) == NULL) fail(errno, "getcwd", NULL);
  const char *const texts[requestFields - 1] = {"shim",
                                                options->namespace,
                                                options->id,
                                                options->address,
                                                environment("TTRPC_ADDRESS"),
                                                options->publishBinary,
                                                bundle,
                                                socketPath,
                                                group,
                                                options->debug ? "1" : "",
                                                environment("SCHED_CORE")};
  size_t size = sizeof(uint32_t) * (1 + requestFields) + stdinBytes->length;
  for (size_t i = 0; i < requestFields - 1; i++) size += strlen(texts[i]);
  uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) fail(errno, "mmap", NULL);
  const uint32_t count = requestFields;
  memcpy(data, &count, sizeof count);
  uint8_t *out = data + sizeof count;
  for (size_t i = 0; i < requestFields - 1; i++) out = putText(out, texts[i], strlen(texts[i]));
  putText(out, stdinBytes->data, stdinBytes->length);
  return (Bytes){(char *)data, size};
}

// A new socket and a shim behind it. false when the zygote died under the request.
static bool startShim(const char *socketPath, const char *zygoteAt, const Bytes *request) {
  // It is live before the shim exists: containerd's connection waits in the backlog.
  const int listener = listenAt(socketPath, SOCK_STREAM);
  if (zygoteAt == NULL) {
    startColdShim(listener, request);
    return true;
  }
  const bool taken = askZygote(zygoteAt, listener, request);
  close(listener);
  if (taken) return true;
  // A shim may have been forked before the zygote died. It keeps a socket that nobody can find any more and
  // ends of itself.
  unlink(socketPath);
  setUndo(NULL);
  return false;
}

// Not the bundle's own reader needs it but containerd 1.6 and 1.7, to find the shim again after a restart.
static void writeAddress(const char *address, size_t length) {
  const int fd = open(".address", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) fail(errno, "bundle: create address", NULL);
  const bool written = writeAll(fd, address, length);
  const int error = errno;
  close(fd);
  if (!written || rename(".address", "address") != 0) {
    const int reason = written ? errno : error;
    unlink(".address");
    fail(reason, "bundle: write address", NULL);
  }
}

void start(const Options *options) {
  if (options->id[0] == 0) fail(0, "start: -id is missing", NULL);
  Bytes stdinBytes = {NULL, 0};
  if (!readAll(STDIN_FILENO, maxStdin, &stdinBytes) && errno != EBADF) fail(errno, "start: stdin", NULL);

  static Annotations annotations;
  const char *group = readGroup(options, &annotations);
  char socketPath[maxPath], directory[maxPath], zygoteAt[maxPath];
  groupSocketPath(options, group, socketPath, sizeof socketPath);
  makeOwnDirectory(runDirectory());
  if (!concat(directory, sizeof directory, runDirectory(), "/s", NULL))
    fail(ENAMETOOLONG, runDirectory(), NULL);
  makeOwnDirectory(directory);

  // Held to the end: two containers of a pod that start at once must not both make the shim, and the second
  // must not rely on a first one that may yet fail.
  if (lockSocket(socketPath, true) < 0) fail(errno, directory, "/.lock", NULL);
  const int error = probeSocket(socketPath);
  if (error != 0) {
    if (error != ENOENT && error != ECONNREFUSED) fail(error, "connect ", socketPath, NULL);
    if (error == ECONNREFUSED && unlink(socketPath) != 0 && errno != ENOENT)
      fail(errno, "unlink ", socketPath, NULL);
    const bool cold = environment("TANDEM_COLD")[0] == '1';
    if (!cold) zygoteDirectory(zygoteAt, sizeof zygoteAt);
    const Bytes request = buildRequest(options, group, socketPath, &stdinBytes);
    const char *where = cold ? NULL : zygoteAt;
    if (!startShim(socketPath, where, &request) && !startShim(socketPath, where, &request))
      fail(0, "zygote ", zygoteAt, ": died twice while it was asked for a shim", NULL);
  }

  char line[maxPath];
  if (!concat(line, sizeof line, "unix://", socketPath, NULL)) fail(ENAMETOOLONG, socketPath, NULL);
  writeAddress(line, strlen(line));
  if (!writeAll(STDOUT_FILENO, line, strlen(line))) fail(errno, "stdout", NULL);
}
