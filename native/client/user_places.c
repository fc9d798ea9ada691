#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

static const unsigned long wholeRange = 4294967295;

// Who we are outside of our user namespace, if we are in one; and whether we are root of the machine, whose
// directories are the machine's.
static unsigned long outsideId(bool *machineRoot) {
  const unsigned long own = geteuid();
  Bytes map;
  *machineRoot = own == 0;
  if (!readFile("/proc/self/uid_map", 64 * 1024, &map)) return own;
  const char *at = map.data;
  for (;;) {
    char *end = NULL;
    const unsigned long inside = strtoul(at, &end, 10);
    if (end == at) return own;
    const unsigned long outside = strtoul(end, &end, 10);
    const unsigned long count = strtoul(end, &end, 10);
    if (inside != 0 || outside != 0 || count != wholeRange) *machineRoot = false;
    if (own >= inside && own - inside < count) return outside + (own - inside);
    at = end;
  }
}

static void choose(const char *variable, const char *first, const char *second, const char *third) {
  char path[maxPath];
  if (getenv(variable) != NULL) return;
  if (!concat(path, sizeof path, first, second, third, NULL)) fail(ENAMETOOLONG, variable, NULL);
  if (setenv(variable, path, 1) != 0) fail(errno, variable, NULL);
}

// What `su` leaves of another user's environment is no place for us.
static bool isOwnDirectory(const char *path) {
  struct stat status;
  return path != NULL && path[0] == '/' && stat(path, &status) == 0 && S_ISDIR(status.st_mode) &&
         status.st_uid == geteuid();
}

// Each user has a zygote and a server of their own, whose files are below a directory that is theirs alone.
void chooseUserPlaces(void) {
  bool machineRoot = false;
  const unsigned long id = outsideId(&machineRoot);
  if (machineRoot) return;
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  char digits[21];
  if (isOwnDirectory(runtime))
    choose("TANDEM_RUN_DIR", runtime, "/tandem", "");
  else
    choose("TANDEM_RUN_DIR", "/tmp/tandem-", decimal(digits, id), "");
  choose("TANDEM_STATE_DIR", getenv("TANDEM_RUN_DIR"), "/cache", "");
}
