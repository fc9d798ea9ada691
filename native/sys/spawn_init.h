// Makes the process that becomes a container's init (or an exec in it), without a copy of its maker's pages.
// Used by the addon, whose maker is Node, and by the client of the command line, so that the container is the
// client's own child. C and C++.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { maxJoins = 16, maxCgroupFiles = 32 };

struct Join {
  int fd;
  int type;  // CLONE_NEW*
};

// Everything that the child needs, prepared before it exists, since it runs on its maker's memory; and what
// it leaves there.
struct InitSpawn {
  int executable;  // container-init, sealed
  int socket;      // becomes descriptor 3 + preserved
  int stdio[3];    // become 0, 1 and 2
  // Descriptors 3 to 2 + preserved stay what they are, for the container's program.
  unsigned preserved;
  uint64_t newNamespaces;  // CLONE_NEW*
  // cgroup v1: files to write "0" into. cgroup v2: the directory to be born into, -1 for none.
  const char *cgroupFiles[maxCgroupFiles];
  size_t cgroupFileCount;
  int cgroupDirectory;
  struct Join joins[maxJoins];
  size_t joinCount;

  // Set by spawnInit: container-init lets an unprivileged maker write its maps, and says when it can.
  bool waitsForMaps;
  pid_t pid;
  int pidfd;
  const char *failedCall;
  int failedErrno;
};

// Returns once container-init has been executed. False with failedCall and failedErrno set, and no child
// left.
bool spawnInit(struct InitSpawn *spawn);

#ifdef __cplusplus
}
#endif
