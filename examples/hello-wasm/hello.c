// One small program that shows, and lets a test provoke, everything a WASI 0.1 command can do in a container.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

extern char **environ;

static int fail(const char *what) {
  fprintf(stderr, "hello: %s: %s\n", what, strerror(errno));
  return 1;
}

static int greet(int argc, char **argv) {
  puts("hello from wasm");
  for (int i = 0; i < argc; i++) printf("arg %s\n", argv[i]);
  for (char **entry = environ; *entry != NULL; entry++) printf("env %s\n", *entry);
  return 0;
}

static int copy(FILE *from, FILE *to) {
  char buffer[4096];
  size_t count;
  while ((count = fread(buffer, 1, sizeof buffer, from)) > 0) {
    if (fwrite(buffer, 1, count, to) != count) return fail("write");
    fflush(to);
  }
  return ferror(from) ? fail("read") : 0;
}

static int readFile(const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return fail(path);
  int status = copy(file, stdout);
  fclose(file);
  return status;
}

static int writeFile(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (file == NULL) return fail(path);
  int failed = fputs(text, file) < 0;
  failed |= fclose(file) != 0;
  if (failed) return fail(path);
  printf("wrote %s\n", path);
  return 0;
}

static int list(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) return fail(path);
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) puts(entry->d_name);
  closedir(directory);
  return 0;
}

static int sleepFor(double seconds) {
  puts("sleeping");
  fflush(stdout);
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  if (nanosleep(&time, NULL) != 0) return fail("nanosleep");
  puts("awake");
  return 0;
}

static int spin(void) {
  puts("spinning");
  fflush(stdout);
  for (volatile unsigned long turns = 0;; turns++) continue;
}

// Touches what it takes, because memory that nobody has written costs nothing.
static int grow(size_t megabytes) {
  for (size_t taken = 0; taken < megabytes; taken++) {
    char *block = malloc(1024 * 1024);
    if (block == NULL) return fail("malloc");
    memset(block, 1, 1024 * 1024);
    *(volatile char *)block = 2;
  }
  printf("took %zu MiB\n", megabytes);
  return 0;
}

// Preview 1 cannot open a socket; it can only accept on one that the host hands in.
static int listeningSocket(void) {
  for (int fd = 3; fd < 64; fd++) {
    __wasi_fdstat_t stat;
    if (__wasi_fd_fdstat_get(fd, &stat) == __WASI_ERRNO_SUCCESS && stat.fs_filetype == __WASI_FILETYPE_SOCKET_STREAM) {
      return fd;
    }
  }
  return -1;
}

static int serve(void) {
  int listener = listeningSocket();
  if (listener < 0) {
    fputs("hello: serve: no listening socket was handed in\n", stderr);
    return 1;
  }
  puts("serving");
  fflush(stdout);
  for (;;) {
    int connection = accept(listener, NULL, NULL);
    if (connection < 0) {
      if (errno == EAGAIN) continue;
      return fail("accept");
    }
    char request[2048];
    ssize_t count = recv(connection, request, sizeof request, 0);
    const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\nhello from wasm\n";
    if (count > 0) send(connection, answer, sizeof answer - 1, 0);
    shutdown(connection, SHUT_RDWR);
    close(connection);
  }
}

// Long enough in one piece to be looked at from outside.
static int greetAndStay(int argc, char **argv, double seconds) {
  greet(argc, argv);
  return sleepFor(seconds);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  const char *first = argc > 2 ? argv[2] : "";
  if (strcmp(mode, "exit") == 0) return atoi(first);
  if (strcmp(mode, "cat") == 0) return copy(stdin, stdout);
  if (strcmp(mode, "read") == 0) return readFile(first);
  if (strcmp(mode, "write") == 0) return writeFile(first, argc > 3 ? argv[3] : "");
  if (strcmp(mode, "list") == 0) return list(first);
  if (strcmp(mode, "stderr") == 0) return fprintf(stderr, "%s\n", first) < 0;
  if (strcmp(mode, "greet") == 0) return greetAndStay(argc, argv, atof(first));
  if (strcmp(mode, "sleep") == 0) return sleepFor(atof(first));
  if (strcmp(mode, "trap") == 0) __builtin_trap();
  if (strcmp(mode, "spin") == 0) return spin();
  if (strcmp(mode, "grow") == 0) return grow((size_t)atol(first));
  if (strcmp(mode, "serve") == 0) return serve();
  return greet(argc, argv);
}
