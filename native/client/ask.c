#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"

extern char **environ;

bool say(int server, enum ToServer kind, const void *data, size_t length, int fd) {
  char byte = (char)kind;
  const struct iovec parts[2] = {{&byte, 1}, {(void *)data, length}};
  return sendMessage(server, "server", parts, 2, &fd, fd < 0 ? 0 : 1);
}

static void takeDescriptors(struct msghdr *header, Message *message) {
  message->fdCount = 0;
  for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    message->fdCount = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(message->fds, CMSG_DATA(item), message->fdCount * sizeof(int));
  }
}

bool hear(int server, Message *message) {
  static char buffer[maxMessage + 1];
  union {
    struct cmsghdr header;
    char space[CMSG_SPACE(maxDescriptors * sizeof(int))];
  } control;
  struct iovec part = {buffer, maxMessage};
  struct msghdr header = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t length = 0;
  // ECONNRESET: the server has ended the call without having read all that we said. It comes once, before the
  // server's last words.
  while ((length = recvmsg(server, &header, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno == EAGAIN)
      explainSilence(server);
    else if (errno != EINTR && errno != ECONNRESET)
      fail(errno, "server: recvmsg", NULL);
  }
  if (length == 0) return false;
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

bool sendCall(int server, int count, char **arguments) {
  static char cwd[maxPath];
  Fields fields = {NULL, 0, 64 * 1024};
  fields.data = mmap(NULL, fields.capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (fields.data == MAP_FAILED) fail(errno, "mmap", NULL);
  // A working directory that was removed: relative paths are then refused by the server.
  if (getcwd(cwd, sizeof cwd) == NULL) cwd[0] = 0;
  add(&fields, cwd);
  char digits[21];
  uint64_t kept = 0;
  for (char **variable = environ; *variable != NULL; variable++) kept += isKept(*variable);
  add(&fields, decimal(digits, kept));
  for (char **variable = environ; *variable != NULL; variable++)
    if (isKept(*variable)) add(&fields, *variable);
  for (int i = 1; i < count; i++) add(&fields, arguments[i]);
  if (fields.length < maxMessage) return say(server, sayCall, fields.data, fields.length, -1);
  // Too much for one message.
  const Bytes bytes = {fields.data, fields.length};
  const int memfd = memfdOf(&bytes);
  const bool sent = say(server, sayCall, NULL, 0, memfd);
  close(memfd);
  return sent;
}
