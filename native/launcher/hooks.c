// Poststop hooks of a container whose shim cannot run them any more (runtime-spec, config.md, POSIX-platform
// hooks).
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher.h"

// containerd gives `delete` five seconds in all.
enum { hooksBudgetMs = 3000, maxHook = 64 * 1024, maxWords = 1024, maxConfig = 64 << 20 };

typedef struct {
  char *path, *arguments[maxWords], *environment[maxWords];
  uint64_t timeoutMs;
} Hook;

static int hexDigit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hex of: timeout, path, count of arguments, arguments, environment, each ended by NUL
// (src/bundle/state-file.ts).
static bool decodeHook(const char *hex, char *text, Hook *out) {
  const size_t length = strlen(hex) / 2;
  if (length == 0 || length > maxHook || strlen(hex) % 2 != 0) return false;
  for (size_t i = 0; i < length; i++) {
    const int high = hexDigit(hex[2 * i]), low = hexDigit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    text[i] = (char)(high << 4 | low);
  }
  if (text[length - 1] != 0) return false;
  size_t arguments = 0, variables = 0, expected = 0, index = 0;
  for (char *word = text; word < text + length; word += strlen(word) + 1, index++) {
    if (index == 0)
      out->timeoutMs = strtoull(word, NULL, 10) * 1000;
    else if (index == 1)
      out->path = word;
    else if (index == 2)
      expected = strtoull(word, NULL, 10);
    else if (arguments < expected && arguments + 1 < maxWords)
      out->arguments[arguments++] = word;
    else if (variables + 1 < maxWords)
      out->environment[variables++] = word;
  }
  if (index < 3 || arguments != expected || out->path[0] != '/') return false;
  if (arguments == 0) out->arguments[arguments++] = out->path;
  out->arguments[arguments] = out->environment[variables] = NULL;
  return true;
}

// The state that a hook gets on stdin. Ids and bundle paths come from containerd, which allows no quotes in
// an id; a bundle that would need escaping is left out rather than written wrong.
static bool stateJson(const Options *options, const char *bundle, Bytes *out) {
  static char head[3 * maxPath];
  static Annotations annotations;
  Bytes config;
  if (readFile("config.json", maxConfig, &config)) scanAnnotations(config.data, config.length, &annotations);
  const char *safe = strpbrk(bundle, "\"\\\n\t") == NULL ? bundle : "";
  if (strpbrk(options->id, "\"\\") != NULL) return false;
  if (!concat(head, sizeof head, "{\"ociVersion\":\"1.3.0\",\"id\":\"", options->id,
              "\",\"status\":\"stopped\",\"bundle\":\"", safe, "\",\"annotations\":", NULL))
    return false;
  const Bytes raw = annotations.raw.length > 0 ? annotations.raw : (Bytes){"{}", 2};
  const size_t length = strlen(head);
  char *text = malloc(length + raw.length + 2);
  if (text == NULL) return false;
  memcpy(text, head, length);
  memcpy(text + length, raw.data, raw.length);
  memcpy(text + length + raw.length, "}", 2);
  *out = (Bytes){text, length + raw.length + 1};
  return true;
}

static void runHook(Hook *hook, const Bytes *state, uint64_t deadline) {
  // A memfd as stdin: a pipe would have to be fed while we wait.
  const int input = memfdOf(state);
  const pid_t child = fork();
  if (child == 0) {
    const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
    // stdout carries our DeleteResponse; what a hook says is a warning in containerd's log.
    if (nothing < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0) _exit(127);
    setsid();
    signal(SIGPIPE, SIG_DFL);
    execve(hook->path, hook->arguments, hook->environment);
    _exit(127);
  }
  close(input);
  if (child < 0) return warn(errno, "poststop ", hook->path, NULL);
  const uint64_t now = monotonicMilliseconds();
  uint64_t end = hook->timeoutMs == 0 || now + hook->timeoutMs > deadline ? deadline : now + hook->timeoutMs;
  struct pollfd exited = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
  if (poll(&exited, 1, end > now ? (int)(end - now) : 0) == 0) {
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    warn(ETIMEDOUT, "poststop ", hook->path, NULL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  close(exited.fd);
  // The runtime spec: a failed poststop hook is a warning, and the others still run.
  if (status != 0) warn(0, "poststop ", hook->path, ": failed", NULL);
}

void runHooks(const State *state, const Options *options, const char *bundle) {
  static char text[maxHook];
  static Hook hook;
  Bytes json;
  if (state->hookCount == 0 || !stateJson(options, bundle, &json)) return;
  const uint64_t deadline = monotonicMilliseconds() + hooksBudgetMs;
  for (size_t i = 0; i < state->hookCount; i++) {
    memset(&hook, 0, sizeof hook);
    if (decodeHook(state->hooks[i], text, &hook)) runHook(&hook, &json, deadline);
  }
}
