#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int runs;

int main(int count, char** args) {
  const char* what = count > 1 ? args[1] : "hello";
  if (!strcmp(what, "hello")) puts("hello");
  if (!strcmp(what, "args")) for (int i = 0; i < count; i++) printf("%s\n", args[i]);
  if (!strcmp(what, "env")) printf("%s\n", getenv("GREETING") ? getenv("GREETING") : "(unset)");
  if (!strcmp(what, "exit")) return atoi(args[2]);
  if (!strcmp(what, "trap")) __builtin_trap();
  if (!strcmp(what, "runs")) printf("%d\n", ++runs);
  if (!strcmp(what, "open")) printf("%s\n", fopen(args[2], "r") ? "opened" : "refused");
  if (!strcmp(what, "stderr")) fputs("to stderr\n", stderr);
  if (!strcmp(what, "cat")) {
    char buffer[4096];
    for (ssize_t length; (length = read(0, buffer, sizeof buffer)) > 0;) write(1, buffer, length);
  }
  if (!strcmp(what, "sleep")) {
    struct timespec time = {.tv_nsec = 50 * 1000 * 1000};
    printf("%d\n", nanosleep(&time, NULL));
  }
  if (!strcmp(what, "random")) {
    unsigned char bytes[8];
    getentropy(bytes, sizeof bytes);
    for (int i = 0; i < 8; i++) printf("%02x", bytes[i]);
  }
  if (!strcmp(what, "much")) for (int i = 0; i < 200000; i++) puts("0123456789");
  return 0;
}
