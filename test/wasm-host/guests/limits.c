// A program that uses up what a grant may limit, as its first argument says: a module of WASI 0.1, or with an adapter a component of 0.2.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int openFiles(int count, int keep) {
  for (int i = 0; i < count; i++) {
    int file = open("/file", O_RDONLY | O_CREAT, 0644);
    if (file < 0) { perror("open"); return 1; }
    if (!keep) close(file);
  }
  puts("opened");
  return 0;
}

static void printTime(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  printf(" %lld.%09ld", (long long)time.tv_sec, time.tv_nsec);
}

static int deterministic(void) {
  unsigned char bytes[8];
  getentropy(bytes, sizeof bytes);
  for (int i = 0; i < 8; i++) printf("%02x", bytes[i]);
  printTime(CLOCK_REALTIME);
  printTime(CLOCK_MONOTONIC);
  sleep(100000);
  printTime(CLOCK_MONOTONIC);
  puts("");
  return 0;
}

int main(int count, char **arguments) {
  const char *verb = count > 1 ? arguments[1] : "";
  int number = count > 2 ? atoi(arguments[2]) : 0;
  if (strcmp(verb, "spin") == 0)
    for (volatile int i = 0;; i++) continue;
  if (strcmp(verb, "sleep") == 0) return sleep(600);
  if (strcmp(verb, "grow") == 0) {
    while (__builtin_wasm_memory_grow(0, 1) != (size_t)-1) continue;
    printf("%zu pages\n", __builtin_wasm_memory_size(0));
    fflush(stdout);
    if (number == 1) __builtin_trap();
    return number;
  }
  if (strcmp(verb, "open") == 0) return openFiles(number, 1);
  if (strcmp(verb, "open-and-close") == 0) return openFiles(number, 0);
  if (strcmp(verb, "write") == 0) {
    for (int i = 0; i < number; i++)
      if (write(i % 2 == 0 ? 1 : 2, "0123456789", 10) != 10) return 1;
    return 0;
  }
  if (strcmp(verb, "deterministic") == 0) return deterministic();
  return 2;
}
