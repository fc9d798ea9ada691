// tandem-oci: the runc-compatible command line, as podman, Buildah, CRI-O and Docker execute it. It parses
// nothing and knows no verb: it hands its arguments to the OCI server (src/oci, a child of the zygote) and is
// its hands, so that what is made of a container is this process's own child, which whoever called us
// inherits when we end. The dialogue is drawn in src/oci/protocol.ts, whose twin this file is.
//
// tandem: the node's command. Its run and serve go the same way, to the same server; the rest is Node's.
#pragma once

#include "launcher.h"
#include "sys/spawn_init.h"

enum ToServer {
  sayCall = 1,
  saySpawned = 2,
  saySpawnFailed = 3,
  sayExited = 4,
  sayInput = 5,
  sayRun = 6,
  sayPing = 7
};
enum ToClient {
  doOutput = 1,
  doError = 2,
  doExit = 3,
  doSpawn = 4,
  doWait = 5,
  doInput = 6,
  doProgram = 7,
  doRenew = 8,
  doGuest = 9,
  doPong = 10
};

enum { maxMessage = 200 * 1024, maxDescriptors = 32, maxListening = maxDescriptors - 4 };

typedef struct {
  char *data;  // NUL behind its end
  size_t length;
  int fds[maxDescriptors];
  size_t fdCount;
} Message;

// ---- settle.c: what comes first

// Stdio that is open, no SIGPIPE, what kind of zygote is started if there is none, and the places of a user
// who is not root.
void settle(void);

// ---- user_places.c

// Of a user who is not root: where zygote, server and state are, unless the environment says so.
void chooseUserPlaces(void);

// ---- server.c: a connection to the server, which is started when there is none

// `directory` (maxPath bytes) is where it was found: the zygote's.
int connectServer(char *directory);

// ---- ask.c: messages

// Sends the call: working directory, environment as far as it matters, arguments. False when the server is
// gone.
bool sendCall(int server, int count, char **arguments);
// The same for `run` and `serve`: umask, limits, the whole environment, and our stdio and activated sockets.
bool sendRun(int server, int count, char **arguments);
// One kind byte, `length` bytes, and one descriptor unless it is -1. False when the server is gone.
bool say(int server, enum ToServer kind, const void *data, size_t length, int fd);
// False at the end of the connection.
bool hear(int server, Message *message);
// False when the connection has ended with the call unread, as far as that can be told: nothing was begun.
bool wasRead(void);
// Without waiting: takes a message that says only that the server is there. False for any other, and none.
bool takePong(int server);

// ---- silence.c: a server that says nothing

// From now on `hear` looks now and then why it hears nothing.
void limitSilence(int server, const char *directory);
// Asks whether the server is there; of one that does not answer, whoever called us is told, once.
void explainSilence(int server);
// It is.
void noteSign(int server);
// Whether it was asked, which may be what it has not read.
bool hasAsked(void);

// ---- attend.c: a command line from its first word to the last

// Sends a request; false when the server is gone.
typedef bool ClientSend(int server, int count, char **arguments);
// Does what the server says beside output; false for what it does not know.
typedef bool ClientAct(int server, const Message *message);

// Asks the server, which is started when there is none, and does what it says to the end.
_Noreturn void callServer(int count, char **arguments, ClientSend *sendRequest, ClientAct *act);

// ---- hands.c: what tandem-oci does for the server

bool beHands(int server, const Message *message);

// ---- output.c

// Writes what the server says; ends where that cannot be done.
void writeOrEnd(int fd, const Message *message);

// ---- guest.c: a guest of ours, which is the zygote's child

// Has it begin, forwards signals, and ends with the status that the server then says. What comes with the
// message: its pidfd, and the pipe that it waits at.
_Noreturn void followGuest(int server, const Message *message);

// ---- program.c: what is executed beside container-init (criu)

// "path\0argument\0…" with descriptors for 3 and on; 0, 1 and 2 are ours. An errno, or 0.
int executeProgram(const Message *message, pid_t *pid, int *pidfd);

// ---- renew.c: a zygote that was started below a conmon

// In the background, when what we are orphaned to lasts: has a zygote started that is nobody's lodger.
void renewHousehold(void);

// ---- relay.c: waiting for a container in the foreground

// Forwards signals, and the terminal unless master is -1, until the process ends. Its exit code, or 128 +
// signal.
int waitFor(pid_t pid, int master);
