#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"

extern char **environ;

static bool sayWith(int server, enum ToServer kind, const Bytes *data, const int *fds, size_t count) {
  char byte = (char)kind;
  const struct iovec parts[2] = {{&byte, 1}, {data->data, data->length}};
  return sendMessage(server, "server", parts, 2, fds, count);
}

bool say(int server, enum ToServer kind, const void *data, size_t length, int fd) {
  const Bytes bytes = {(char *)data, length};
  return sayWith(server, kind, &bytes, &fd, fd < 0 ? 0 : 1);
}

static void takeDescriptors(struct msghdr *header, Message *message) {
  message->fdCount = 0;
  // The kernel drops those that do not fit below our limit of open files.
  if ((header->msg_flags & MSG_CTRUNC) != 0) fail(EMFILE, "server: descriptors", NULL);
  for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    message->fdCount = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(message->fds, CMSG_DATA(item), message->fdCount * sizeof(int));
  }
}

// Whether the server has ended the call without having read it: then nothing of it was begun.
static bool unread;

bool wasRead(void) {
  return !unread;
}

bool takePong(int server) {
  char kind;
  if (recv(server, &kind, 1, MSG_PEEK | MSG_DONTWAIT) != 1 || kind != doPong) return false;
  (void)recv(server, &kind, 1, 0);
  noteSign(server);
  return true;
}

bool hear(int server, Message *message) {
  static char buffer[maxMessage + 1];
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(maxDescriptors * sizeof(int))];
  } control;
  struct iovec part = {buffer, maxMessage};
  struct msghdr header;
  ssize_t length = 0;
  unread = false;
  do {
    // Anew for each: recvmsg leaves in it how much room a message took, which for a pong is none.
    header = (struct msghdr){
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    // ECONNRESET: the server has ended the call without having read all that we said. It comes once, before
    // the server's last words.
    while ((length = recvmsg(server, &header, MSG_CMSG_CLOEXEC)) < 0) {
      if (errno == EAGAIN)
        explainSilence(server);
      else if (errno == ECONNRESET)
        unread = !hasAsked();
      else if (errno != EINTR)
        fail(errno, "server: recvmsg", NULL);
    }
    if (length == 0) return false;
    if (buffer[0] == doPong) noteSign(server);
  } while (buffer[0] == doPong);
  takeDescriptors(&header, message);
  buffer[length] = 0;
  message->data = buffer;
  message->length = (size_t)length;
  return true;
}

// What the server may want to know of our environment; the rest stays here.
static bool isKept(const char *variable) {
  static const char *const names[] = {
      "XDG_RUNTIME_DIR=",          "NOTIFY_SOCKET=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=",
      "DBUS_SESSION_BUS_ADDRESS=", "HOME=",          "PATH=",       "TANDEM_"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strncmp(variable, names[i], strlen(names[i])) == 0) return true;
  return false;
}

typedef struct {
  char *data;
  size_t length, capacity;
} Fields;

// u32 length and the bytes, little endian on every machine that Tandem runs on.
static void add(Fields *fields, const char *text) {
  const uint32_t size = (uint32_t)strlen(text);
  const size_t needed = fields->length + sizeof size + size;
  if (needed > fields->capacity) {
    const size_t capacity = needed * 2;
    char *grown = mremap(fields->data, fields->capacity, capacity, MREMAP_MAYMOVE);
    if (grown == MAP_FAILED) fail(errno, "mremap", NULL);
    fields->data = grown;
    fields->capacity = capacity;
  }
  memcpy(fields->data + fields->length, &size, sizeof size);
  memcpy(fields->data + fields->length + sizeof size, text, size);
  fields->length = needed;
}

static Fields newFields(void) {
  Fields fields = {NULL, 0, 64 * 1024};
  fields.data = mmap(NULL, fields.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fields.data == MAP_FAILED) fail(errno, "mmap", NULL);
  return fields;
}

static void addDirectory(Fields *fields) {
  static char cwd[maxPath];
  // A working directory that was removed: relative paths are then refused by the server.
  if (getcwd(cwd, sizeof cwd) == NULL) cwd[0] = 0;
  add(fields, cwd);
}

static bool isAny(const char *variable) {
  (void)variable;
  return true;
}

static void addEnvironment(Fields *fields, bool (*isWanted)(const char *variable)) {
  char digits[21];
  uint64_t wanted = 0;
  for (char **variable = environ; *variable != NULL; variable++) wanted += isWanted(*variable);
  add(fields, decimal(digits, wanted));
  for (char **variable = environ; *variable != NULL; variable++)
    if (isWanted(*variable)) add(fields, *variable);
}

// Descriptors of a request, then, when the fields are too much for one message, one of a file that has them.
static bool sendFields(int server, enum ToServer kind, const Fields *fields, int *fds, size_t count) {
  Bytes bytes = {fields->data, fields->length};
  if (fields->length < maxMessage) return sayWith(server, kind, &bytes, fds, count);
  const int memfd = memfdOf(&bytes);
  fds[count] = memfd;
  bytes.length = 0;
  const bool sent = sayWith(server, kind, &bytes, fds, count + 1);
  close(memfd);
  return sent;
}

bool sendCall(int server, int count, char **arguments) {
  Fields fields = newFields();
  addDirectory(&fields);
  addEnvironment(&fields, isKept);
  for (int i = 1; i < count; i++) add(&fields, arguments[i]);
  int memfd = -1;
  return sendFields(server, sayCall, &fields, &memfd, 0);
}

// How many sockets came by socket activation (sd_listen_fds(3)), for us and not for whose environment we
// have.
static int activated(void) {
  char digits[21];
  const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
  if (pid == NULL || count == NULL || strcmp(pid, decimal(digits, (uint64_t)getpid())) != 0) return 0;
  const long number = strtol(count, NULL, 10);
  if (number < 0 || number > maxListening) fail(0, "LISTEN_FDS ", count, ": too many sockets", NULL);
  return (int)number;
}

bool sendRun(int server, int count, char **arguments) {
  char digits[21];
  int fds[maxDescriptors];
  size_t held = 0;
  Fields fields = newFields();
  for (; held < 3; held++) fds[held] = (int)held;
  for (const int all = 3 + activated(); (int)held < all; held++) fds[held] = (int)held;
  const mode_t mask = umask(0);
  umask(mask);
  add(&fields, decimal(digits, mask));
  add(&fields, decimal(digits, held));
  for (int resource = 0; resource < RLIM_NLIMITS; resource++) {
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0) fail(errno, "getrlimit", NULL);
    add(&fields, decimal(digits, limit.rlim_cur));
    add(&fields, decimal(digits, limit.rlim_max));
  }
  addDirectory(&fields);
  addEnvironment(&fields, isAny);
  for (int i = 1; i < count; i++) add(&fields, arguments[i]);
  return sendFields(server, sayRun, &fields, fds, held);
}
