#include <stdlib.h>
#include <string.h>

#include "launcher.h"

bool readStat(pid_t pid, ProcessStat *stat) {
  char path[64], digits[21];
  Bytes text;
  if (!concat(path, sizeof path, "/proc/", decimal(digits, (uint64_t)pid), "/stat", NULL) ||
      !readFile(path, 4096, &text))
    return false;
  // The name, field 2, may hold spaces and parentheses; the last parenthesis ends it.
  const char *at = strrchr(text.data, ')');
  for (int field = 3; field <= 22; field++) {
    at = at == NULL ? NULL : strchr(at, ' ');
    if (at == NULL) return false;
    at++;
    if (field == 3) stat->state = *at;
    if (field == 4) stat->parent = (pid_t)strtol(at, NULL, 10);
  }
  stat->startTime = strtoull(at, NULL, 10);
  return true;
}
