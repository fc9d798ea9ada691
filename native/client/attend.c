#include <unistd.h>

#include "client.h"

static void attend(int server, ClientAct *act) {
  Message message;
  bool heard = false;
  while (hear(server, &message)) {
    heard = true;
    switch (message.data[0]) {
      case doOutput:
        writeOrEnd(STDOUT_FILENO, &message);
        break;
      case doError:
        writeOrEnd(STDERR_FILENO, &message);
        break;
      case doRenew:
        renewHousehold();
        break;
      default:
        if (!act(server, &message)) fail(0, "server: unknown message; is it of another build?", NULL);
    }
  }
  // What was read may have been done.
  if (heard || wasRead()) fail(0, "the server ended; see zygote.log below ", runDirectory(), NULL);
}

_Noreturn void callServer(int count, char **arguments, ClientSend *sendRequest, ClientAct *act) {
  static char directory[maxPath];
  settle();
  // An idle server may end at the very moment at which we connect: then there is a new one.
  for (int attempt = 0; attempt < 3; attempt++) {
    const int server = connectServer(directory);
    limitSilence(server, directory);
    if (sendRequest(server, count, arguments)) attend(server, act);
    close(server);
  }
  fail(0, "the server ends before it answers; see zygote.log below ", runDirectory(), NULL);
}
