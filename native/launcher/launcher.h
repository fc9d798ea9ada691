// The launcher: what containerd executes for each container (start, delete, -info, -v). It lives for about a
// millisecond, so it is static C without stdio: on a cold path each page touched costs more than the work
// done on it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum { maxPath = 4096, sha256HexSize = 65 };

// ---- text.c: strings, files, the one way to fail
// --------------------------------------------------------------------------

// Joins strings, the last followed by NULL; false when they do not fit.
bool concat(char *out, size_t size, ...);
// Decimal digits of a number; out must hold 21 bytes. Returns out.
const char *decimal(char *out, uint64_t value);
// What messages begin with; the client of the command line has another name.
extern const char *programName;
// What fail() exits with: 1 unless a program has another word for it.
extern int failureStatus;
// Prints one line "<programName>: <parts>[: <strerror>]" on stderr, undoes, and exits. Parts end with NULL.
_Noreturn void fail(int error, ...);
// The same line without the exit, for what must not stop a clean-up.
void warn(int error, ...);
// The path that fail() unlinks; NULL for none.
void setUndo(const char *socketPath);

typedef struct {
  char *data;
  size_t length;
} Bytes;

// Reads to end of file, at most limit bytes; false with errno (EFBIG above the limit). The memory is never
// given back.
bool readAll(int fd, size_t limit, Bytes *out);
bool readFile(const char *path, size_t limit, Bytes *out);
bool writeAll(int fd, const void *data, size_t length);

// ---- args.c
// ---------------------------------------------------------------------------------------------------------------

typedef struct {
  bool debug, version, info;
  const char *namespace, *id, *address, *publishBinary, *bundle;
  const char *action;  // "" when there is none
} Options;

// Go-style flags (shim-protocol §1.2); whatever is unknown is ignored.
Options parseArguments(int count, char **arguments);

// ---- annotations.c
// --------------------------------------------------------------------------------------------------------

enum { maxAnnotation = 1024 };

typedef struct {
  char runcGroup[maxAnnotation];  // io.containerd.runc.v2.group
  char sandboxId[maxAnnotation];  // io.kubernetes.cri.sandbox-id
  Bytes raw;                      // the annotations object as written
} Annotations;

// Scans a config.json; false (and nothing found) when it is no JSON. Values that are empty, longer than
// maxAnnotation or hold a NUL count as absent.
bool scanAnnotations(const char *json, size_t length, Annotations *out);

// ---- sha256.c
// -------------------------------------------------------------------------------------------------------------

typedef struct {
  uint32_t state[8];
  uint64_t length;
  uint8_t block[64];
} Sha256;

void sha256Init(Sha256 *hash);
void sha256Add(Sha256 *hash, const void *data, size_t length);
void sha256Hex(Sha256 *hash, char out[sha256HexSize]);

// ---- places.c: where things are
// -------------------------------------------------------------------------------------------

// $TANDEM_RUN_DIR or /run/tandem.
const char *runDirectory(void);
// Directory that holds node, main.mjs and the like; "" when /proc is not there.
const char *libDirectory(void);
// The build id in libDirectory, NULL when there is none.
const char *buildId(void);
// Makes the directory (0700) and its parents; fails unless it is ours alone.
void makeOwnDirectory(const char *path);
// <run dir>/z/<build id>-<hash of namespaces and capabilities>, made.
void zygoteDirectory(char *out, size_t size);
// <run dir>/s/<sha256 of address, namespace, group>.
void groupSocketPath(const Options *options, const char *group, char *out, size_t size);
// Locks what belongs to one socket path against other starts and deletes, as long as the returned descriptor
// is open. One byte of one file stands for each path, so nothing is left to be removed. -1 with errno when it
// cannot be had.
int lockSocket(const char *socketPath, bool wait);
// 0 when somebody listens there, else the errno of connect(2).
int probeSocket(const char *socketPath);
// Listens there, for our user alone; a failure later on takes the socket away again (setUndo). SOCK_STREAM or
// SOCK_SEQPACKET.
int listenAt(const char *socketPath, int type);

// ---- zygote.c, spawn.c, monitor.c
// ----------------------------------------------------------------------------------------------------

// Hands the listening socket over; false when the zygote vanished before it answered. Fails with the zygote's
// reason.
bool askZygote(const char *directory, int listener, const Bytes *request);
// A connected SEQPACKET socket to a zygote, which is started when there is none.
int connectZygote(const char *directory);
// Starts a zygote and returns when it answers. Fails with the end of its log.
void startZygote(const char *directory);
// Puts a new zygote in the place of one whose parent will not last, unless somebody else is at it.
void replaceZygote(const char *directory);
// A zygote that we start is nobody's: it goes into the root of every cgroup hierarchy. False unless set.
extern bool zygoteLeavesCgroups;
// What it is told to become: "zygote", or "zygote-for-oci", which makes nothing ready for pods.
extern const char *zygoteRole;
// Replaces this process by Node in a role (src/main.ts). On failure writes the reason to `errors` and ends.
_Noreturn void execNode(const char *role, const char *argument, int errors);
// One above containerd's own: when memory runs out the kernel takes a shim before it takes containerd.
void raiseOomScore(void);
// Starts the zygote of a directory and ends when it answers; else with 1 and a reason on the report.
// Descriptors 3 (report) and 4 (lock) are all there is; stderr is the log.
_Noreturn void monitor(const char *directory, const char *log);
// Who listens there: 0 when nobody does.
pid_t listenerOf(const char *path);
// Cold mode: a Node of its own is the shim; descriptor 3 is the socket, 4 a memfd with the request.
void startColdShim(int listener, const Bytes *request);

// ---- message.c: messages on SEQPACKET sockets
// ----------------------------------------------------------------------------------------------------

enum { maxSentDescriptors = 32 };

// -1 with errno.
int connectSeqpacket(const char *path);
// The parts as one message, with at most maxSentDescriptors. False when the peer is gone; fails by the peer's
// name for any other reason.
bool sendMessage(int connection, const char *peer, const struct iovec *parts, size_t partCount,
                 const int *fds, size_t fdCount);
// For what is too long for a message.
int memfdOf(const Bytes *bytes);

// ---- process.c: what the kernel says of a process

// proc_pid_stat(5), fields 3, 4 and 22: with the last the pid names one process until the next boot.
typedef struct {
  char state;
  pid_t parent;
  uint64_t startTime;
} ProcessStat;

// False when there is no such process.
bool readStat(pid_t pid, ProcessStat *stat);

// ---- household.c: whose child and in which cgroup a zygote is

// Joins the root of every hierarchy that we may write to.
void leaveCgroups(void);
// Whether the parent of a process lasts as long as the machine does: process 1, or the manager of a user's
// session. Anyone else who adopts what is orphaned below it (PR_SET_CHILD_SUBREAPER) may be waiting for that
// to end, as conmon does.
bool hasLastingParent(pid_t pid);

// ---- state.c: tandem.state, what the shim left for delete
// -----------------------------------------------------------------

enum { maxStateEntries = 64 };

typedef struct {
  pid_t pid;
  uint64_t startTime;
  size_t cgroupCount, mountCount, hookCount;
  const char *cgroups[maxStateEntries], *mounts[maxStateEntries], *hooks[maxStateEntries];
  const char *socket;
} State;

// Reads tandem.state in the working directory. Lines that make no sense are left out; nothing is there for a
// file that is not ours alone.
void readState(State *out);

// ---- clear.c, cgroup.c, mounts.c, hooks.c
// ------------------------------------------------------------------------------------------

// Takes down what the state names and whatever is mounted below the bundle, whose path is its real one.
// Mounts outside of the bundle and our own directories are left alone, with a warning.
void clearContainer(const State *state, const char *bundle);
void killProcess(pid_t pid, uint64_t startTime);
void killCgroups(const State *state);
void removeCgroups(const State *state);
// Unmounts everything at or below the path, deepest first.
void unmountBelow(const char *path);
void runHooks(const State *state, const Options *options, const char *bundle);
void sleepMilliseconds(long milliseconds);
uint64_t monotonicMilliseconds(void);

// ---- the actions
// ----------------------------------------------------------------------------------------------------------

void start(const Options *options);
void delete (const Options *options);
void info(void);
void version(void);
void zygote(void);
// Appends a protobuf varint, or a field of bytes; returns the new end.
uint8_t *putVarint(uint8_t *out, uint64_t value);
uint8_t *putField(uint8_t *out, unsigned field, const void *data, size_t length);
