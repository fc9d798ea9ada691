#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "launcher.h"

enum { maxFeatures = 48 * 1024 };

static const char *revision(void) {
  const char *id = buildId();
  return id == NULL ? "unknown" : id;
}

void version(void) {
  char text[256];
  if (concat(text, sizeof text, "containerd-shim-tandem-v1\n  version: ", TANDEM_VERSION,
             "\n  build: ", revision(), "\n", NULL))
    writeAll(STDOUT_FILENO, text, strlen(text));
}

uint8_t *putVarint(uint8_t *out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = (uint8_t)(value | 0x80);
    value >>= 7;
  }
  *out++ = (uint8_t)value;
  return out;
}

uint8_t *putField(uint8_t *out, unsigned field, const void *data, size_t length) {
  out = putVarint(out, field << 3 | 2);
  out = putVarint(out, length);
  memcpy(out, data, length);
  return out + length;
}

// containerd.types.RuntimeInfo (shim-protocol §1.10): 1 name, 2 version {1 version, 2 revision}, 4 features
// Any {1 type_url, 2 value}. Neither socket nor options are looked at: the features are a matter of the
// build.
void info(void) {
  static const char name[] = "io.containerd.tandem.v1";
  static const char type[] = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
  static uint8_t message[2 * maxFeatures + 1024], inner[maxFeatures + 256];
  char path[maxPath];
  uint8_t *out = putField(message, 1, name, sizeof name - 1);
  uint8_t *end = putField(inner, 1, TANDEM_VERSION, strlen(TANDEM_VERSION));
  end = putField(end, 2, revision(), strlen(revision()));
  out = putField(out, 2, inner, (size_t)(end - inner));
  Bytes features;
  if (concat(path, sizeof path, libDirectory(), "/features.json", NULL) &&
      readFile(path, maxFeatures, &features)) {
    end = putField(inner, 1, type, sizeof type - 1);
    end = putField(end, 2, features.data, features.length);
    out = putField(out, 4, inner, (size_t)(end - inner));
  }
  if (!writeAll(STDOUT_FILENO, message, (size_t)(out - message))) fail(errno, "stdout", NULL);
}
