#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int runs;

// Writes below /data and tells what came of it.
static void files(void) {
  struct stat stat_;
  printf("mkdir %d\n", mkdir("/data/dir", 0777));
  FILE* file = fopen("/data/dir/a", "w");
  printf("open %d\n", file != NULL);
  if (file != NULL) {
    fputs("content", file);
    fclose(file);
  }
  printf("stat %d", stat("/data/dir/a", &stat_));
  printf(" size %lld directory %d\n", stat_.st_size, S_ISDIR(stat_.st_mode));
  printf("rename %d\n", rename("/data/dir/a", "/data/dir/b"));
  char line[16] = "";
  file = fopen("/data/dir/b", "r");
  if (file != NULL) {
    fgets(line, sizeof line, file);
    fclose(file);
  }
  printf("read %s\n", line);
  printf("symlink %d\n", symlink("b", "/data/dir/link"));
  char target[16] = "";
  printf("readlink %zd %s\n", readlink("/data/dir/link", target, sizeof target), target);
  DIR* dir = opendir("/data/dir");
  int entries = 0;
  if (dir != NULL) {
    for (struct dirent* entry; (entry = readdir(dir)) != NULL;) entries += entry->d_name[0] != '.';
    closedir(dir);
  }
  printf("entries %d\n", entries);
  printf("append %d\n", (file = fopen("/data/dir/b", "a")) != NULL && fputs("+more", file) >= 0 && fclose(file) == 0);
  printf("unlink %d rmdir %d\n", unlink("/data/dir/link"), rmdir("/data/dir"));
}

int main(int count, char** args) {
  const char* what = count > 1 ? args[1] : "hello";
  if (!strcmp(what, "hello")) puts("hello");
  if (!strcmp(what, "args")) for (int i = 0; i < count; i++) printf("%s\n", args[i]);
  if (!strcmp(what, "env")) printf("%s\n", getenv("GREETING") ? getenv("GREETING") : "(unset)");
  if (!strcmp(what, "exit")) return atoi(args[2]);
  if (!strcmp(what, "trap")) __builtin_trap();
  if (!strcmp(what, "runs")) printf("%d\n", ++runs);
  if (!strcmp(what, "open")) printf("%s\n", fopen(args[2], "r") ? "opened" : "refused");
  if (!strcmp(what, "files")) files();
  if (!strcmp(what, "create")) printf("%d %s\n", open(args[2], O_CREAT | O_WRONLY, 0666) >= 0, strerror(errno));
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
