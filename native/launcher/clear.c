// Takes down what is left of a container whose shim may be dead: processes, mounts, cgroups.
#include <stdlib.h>
#include <string.h>

#include "launcher.h"

// The shim mounts in three places only. Whatever else a state file names is not taken down on its word.
static bool isOurPlace(const char *path, const char *bundle) {
  const char *stateDirectory = getenv("TANDEM_STATE_DIR");
  const char *const roots[] = {bundle, runDirectory(),
                               stateDirectory == NULL ? "/var/lib/tandem" : stateDirectory};
  for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
    const size_t length = strlen(roots[i]);
    if (length > 1 && strncmp(path, roots[i], length) == 0 && path[length] == '/') return true;
  }
  return false;
}

void clearContainer(const State *state, const char *bundle) {
  char rootfs[maxPath];
  killProcess(state->pid, state->startTime);
  killCgroups(state);
  for (size_t i = state->mountCount; i > 0; i--) {
    if (isOurPlace(state->mounts[i - 1], bundle))
      unmountBelow(state->mounts[i - 1]);
    else
      warn(0, "tandem.state: mount ", state->mounts[i - 1], ": outside the bundle, left alone", NULL);
  }
  if (concat(rootfs, sizeof rootfs, bundle, "/rootfs", NULL)) unmountBelow(rootfs);
  removeCgroups(state);
}
