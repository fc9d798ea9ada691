#include "init/report.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>

namespace tandem {

int shimSocket = 3;

namespace {

const char* currentProperty = "";

struct Text {
  char data[4096];
  size_t length = 0;

  void add(const char* text) {
    const size_t room = sizeof data - length;
    const size_t wanted = strlen(text);
    const size_t taken = wanted < room ? wanted : room;
    memcpy(data + length, text, taken);
    length += taken;
  }
};

[[noreturn]] void send(const Text& text) {
  // MSG_NOSIGNAL: without a shim there is nobody to tell, and the status says enough.
  ::send(shimSocket, text.data, text.length, MSG_NOSIGNAL);
  _exit(1);
}

void begin(Text* text, int error) {
  text->data[0] = static_cast<char>(ToShim::failed);
  const auto number = static_cast<uint32_t>(error);
  memcpy(text->data + 1, &number, sizeof number);
  text->length = 5;
  if (currentProperty[0] != 0) {
    text->add(currentProperty);
    text->add(": ");
  }
}

}  // namespace

void setProperty(const char* property) {
  currentProperty = property;
}

void fail(const char* action, const char* subject, int error) {
  Text text;
  begin(&text, error);
  text.add(action);
  if (subject[0] != 0) text.add(" ");
  text.add(subject);
  text.add(": ");
  const char* description = strerrordesc_np(error);
  text.add(description != nullptr ? description : "unknown error");
  send(text);
}

void failBecause(const char* reason, const char* subject, int error) {
  Text text;
  begin(&text, error);
  text.add(subject);
  if (subject[0] != 0) text.add(": ");
  text.add(reason);
  send(text);
}

void tell(ToShim message, int fd) {
  char kind = static_cast<char>(message);
  iovec data{&kind, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  if (sendmsg(shimSocket, &header, MSG_NOSIGNAL) < 0) _exit(1);
}

bool hears(ToInit message) {
  char kind = 0;
  ssize_t length;
  do length = recv(shimSocket, &kind, 1, 0);
  while (length < 0 && errno == EINTR);
  return length == 1 && kind == static_cast<char>(message);
}

void await(ToInit message) {
  if (!hears(message)) _exit(1);
}

}  // namespace tandem
