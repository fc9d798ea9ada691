#include <errno.h>
#include <unistd.h>

#include "client.h"

void writeOrEnd(int fd, const Message *message) {
  if (writeAll(fd, message->data + 1, message->length - 1)) return;
  // Nobody is told of a reader that went away: it wanted no more. A full disk is an answer that is missing.
  if (fd == STDOUT_FILENO && errno != EPIPE) fail(errno, "stdout", NULL);
  _exit(1);
}
