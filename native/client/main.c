#include <unistd.h>

#include "client.h"

int main(int count, char **arguments) {
  static char directory[maxPath];
  programName = "tandem-oci";
  settle();
  // An idle server may end at the very moment at which we connect: then there is a new one.
  for (int attempt = 0; attempt < 3; attempt++) {
    const int server = connectServer(directory);
    limitSilence(server, directory);
    if (sendCall(server, count, arguments)) serve(server);
    close(server);
  }
  fail(0, "the server ends before it answers; see zygote.log below ", runDirectory(), NULL);
}
