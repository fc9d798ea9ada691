// rounds ROUNDS ERRORS <PLAN: runs the steps of a plan one after the other, round after round, and prints
// what each took.
//
// A step is a line of fields between tabs, "{}" in a field stands for the number of the round:
//
//     run     CGROUP  NAME=VALUE…  --  PROGRAM ARGUMENT…    from the fork to the program's end
//     line    CGROUP  NAME=VALUE…  --  PROGRAM ARGUMENT…    until it has ended and written a line to the
//     descriptor _OCI_SYNCPIPE await   FILE                                          until the process whose
//     pid the file holds has ended kernel  ROOTFS  BINDS                                 what a container
//     costs without a runtime
//
// CGROUP is a file that the process writes "0" to before it becomes the program, or "-". A line of output is
// step, round, nanoseconds and status between tabs. A program of its own, because a fork of Node costs more
// than some of the steps.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { maxSteps = 64, maxFields = 64, failed = 111, patience = 20000 };

struct step {
  char *fields[maxFields + 1];
  int count;
};

static int nullFd, errorsFd;

static void die(const char *what) {
  fprintf(stderr, "rounds: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// A runtime that hangs is killed, and its step has failed.
static int waitFor(pid_t pid) {
  int status, process = (int)syscall(SYS_pidfd_open, pid, 0);
  struct pollfd end = {.fd = process, .events = POLLIN};
  if (process < 0 || poll(&end, 1, patience) == 0) kill(pid, SIGKILL);
  close(process);
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) die("waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void becomeProgram(char **fields, char *syncPipe, int syncFd) {
  if (strcmp(fields[1], "-") != 0) {
    int cgroup = open(fields[1], O_WRONLY | O_CLOEXEC);
    if (cgroup < 0 || write(cgroup, "0", 1) != 1) _exit(failed);
    close(cgroup);
  }
  char *environment[maxFields + 2];
  int variables = 0, at = 2;
  for (; fields[at] && strcmp(fields[at], "--") != 0; at++) environment[variables++] = fields[at];
  if (syncPipe) environment[variables++] = syncPipe;
  environment[variables] = NULL;
  dup2(nullFd, 0);
  dup2(nullFd, 1);
  dup2(errorsFd, 2);
  if (syncFd >= 0) dup2(syncFd, 3);
  if (fields[at]) execve(fields[at + 1], fields + at + 1, environment);
  _exit(failed);
}

static int runProgram(char **fields) {
  pid_t pid = vfork();
  if (pid < 0) die("vfork");
  if (pid == 0) becomeProgram(fields, NULL, -1);
  return waitFor(pid);
}

static int runUntilLine(char **fields) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) die("pipe2");
  pid_t pid = vfork();
  if (pid < 0) die("vfork");
  if (pid == 0) becomeProgram(fields, "_OCI_SYNCPIPE=3", ends[1]);
  close(ends[1]);
  int status = waitFor(pid);
  char byte = 0;
  while (byte != '\n' && read(ends[0], &byte, 1) == 1) continue;
  close(ends[0]);
  return byte == '\n' ? status : failed;
}

static int awaitEnd(const char *file) {
  FILE *stream = fopen(file, "re");
  int pid;
  if (!stream || fscanf(stream, "%d", &pid) != 1) return failed;
  fclose(stream);
  int process = (int)syscall(SYS_pidfd_open, pid, 0);
  // Somebody else's child: it may be gone already.
  if (process < 0) return errno == ESRCH ? 0 : failed;
  struct pollfd end = {.fd = process, .events = POLLIN};
  int ready = poll(&end, 1, patience);
  close(process);
  return ready == 1 ? 0 : failed;
}

static void mountOrExit(const char *source, const char *target, const char *type, unsigned long flags,
                        const char *data) {
  if (mount(source, target, type, flags, data) < 0) _exit(failed);
}

/// The mounts and namespaces of ../container/spec.ts, by bare system calls.
static void becomeContainer(const char *rootfs, int binds) {
  mountOrExit(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
  mountOrExit(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL);
  if (chdir(rootfs) < 0) _exit(failed);
  mountOrExit("proc", "proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
  mountOrExit("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k");
  mkdir("dev/pts", 0755);
  mkdir("dev/shm", 0755);
  mkdir("dev/mqueue", 0755);
  mountOrExit("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620,gid=5");
  mountOrExit("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k");
  mountOrExit("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL);
  mountOrExit("sysfs", "sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL);
  mountOrExit("tmpfs", "run", "tmpfs", MS_NOSUID, "mode=755,size=65536k");
  static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    char path[32];
    snprintf(path, sizeof path, "dev/%s", devices[i]);
    mknod(path, S_IFCHR | 0666, 0x103);
  }
  for (int i = 0; i < binds; i++) {
    char path[32];
    snprintf(path, sizeof path, "mnt/%d", i);
    mountOrExit(path, path, NULL, MS_BIND, NULL);
    mountOrExit(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL);
  }
  if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0) _exit(failed);
  sethostname("kernel", 6);
  execl("/bin/true", "true", (char *)NULL);
  _exit(failed);
}

static int runBare(const char *rootfs, int binds) {
  struct clone_args arguments = {
      .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET,
      .exit_signal = SIGCHLD,
  };
  pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid < 0) die("clone3");
  if (pid == 0) becomeContainer(rootfs, binds);
  return waitFor(pid);
}

static int runStep(char **fields) {
  if (strcmp(fields[0], "run") == 0) return runProgram(fields);
  if (strcmp(fields[0], "line") == 0) return runUntilLine(fields);
  if (strcmp(fields[0], "await") == 0) return awaitEnd(fields[1]);
  if (strcmp(fields[0], "kernel") == 0) return runBare(fields[1], atoi(fields[2]));
  fprintf(stderr, "rounds: no such step: %s\n", fields[0]);
  exit(1);
}

/// The field with "{}" replaced, in memory that is never freed: a plan is short, and so is this program's
/// life.
static char *withRound(char *field, int round) {
  char *mark = strstr(field, "{}");
  if (!mark) return field;
  char *text;
  if (asprintf(&text, "%.*s%d%s", (int)(mark - field), field, round, mark + 2) < 0) die("asprintf");
  char *rest = withRound(text, round);
  if (rest != text) free(text);
  return rest;
}

static int readPlan(struct step *steps) {
  int count = 0;
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, stdin) > 0 && count < maxSteps) {
    line[strcspn(line, "\n")] = '\0';
    struct step *step = &steps[count++];
    char *left = line;
    for (char *field; (field = strsep(&left, "\t")) && step->count < maxFields;)
      step->fields[step->count++] = field;
    line = NULL;
  }
  return count;
}

int main(int count, char **arguments) {
  if (count != 3) {
    fprintf(stderr, "usage: rounds ROUNDS ERRORS <PLAN\n");
    return 2;
  }
  static struct step steps[maxSteps];
  int stepCount = readPlan(steps);
  nullFd = open("/dev/null", O_RDWR | O_CLOEXEC);
  errorsFd = open(arguments[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (nullFd < 0 || errorsFd < 0) die(arguments[2]);
  for (int round = 0; round < atoi(arguments[1]); round++)
    for (int i = 0; i < stepCount; i++) {
      char *fields[maxFields + 1] = {NULL};
      for (int field = 0; field < steps[i].count; field++)
        fields[field] = withRound(steps[i].fields[field], round);
      int64_t begin = now();
      int status = runStep(fields);
      printf("%d\t%d\t%lld\t%d\n", i, round, (long long)(now() - begin), status);
      fflush(stdout);
    }
  return 0;
}
