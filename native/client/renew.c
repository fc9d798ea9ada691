#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

enum { adoptionMs = 1000 };

// Our caller waits for the end of what it has given us to write to.
static bool letGoOfCaller(void) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || chdir("/") != 0 || setsid() < 0) return false;
  for (int fd = 0; fd < 3; fd++)
    if (dup2(null, fd) < 0) return false;
  return close_range(3, ~0U, 0) == 0;
}

void renewHousehold(void) {
  const pid_t child = fork();
  if (child != 0) {
    if (child > 0) waitpid(child, NULL, 0);
    return;
  }
  const pid_t before = getpid();
  if (fork() != 0) _exit(0);
  if (!letGoOfCaller()) _exit(1);
  // Whoever adopts us would adopt the zygote.
  for (int waited = 0; getppid() == before && waited < adoptionMs; waited++) sleepMilliseconds(1);
  if (hasLastingParent(getpid())) {
    char directory[maxPath];
    zygoteDirectory(directory, sizeof directory);
    replaceZygote(directory);
  }
  _exit(0);
}
