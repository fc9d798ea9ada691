// A guest with threads, without a libc: what wasi-libc's pthreads do, by hand. The first argument says what it does.
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Atomic u32 atomic_u32;

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define WASI(name) IMPORT("wasi_snapshot_preview1", name)
#define EXPORT(name) __attribute__((export_name(name)))

IMPORT("wasi", "thread-spawn") int threadSpawn(void *argument);
WASI("args_sizes_get") int argsSizesGet(u32 *count, u32 *size);
WASI("args_get") int argsGet(char **list, char *text);
WASI("proc_exit") _Noreturn void procExit(int status);
WASI("sched_yield") int schedYield(void);
struct vector {
  const void *data;
  u32 size;
};
WASI("fd_write") int fdWrite(int fd, const struct vector *vectors, u32 count, u32 *written);
WASI("fd_read") int fdRead(int fd, const struct vector *vectors, u32 count, u32 *got);
WASI("fd_close") int fdClose(int fd);
WASI("fd_renumber") int fdRenumber(int from, int to);
WASI("path_open")
int pathOpen(int dir, int follow, const char *path, u32 size, int oflags, u64 base, u64 inheriting, int flags, int *fd);

static u32 length(const char *text) {
  u32 size = 0;
  while (text[size] != 0) size++;
  return size;
}

static int same(const char *left, const char *right) {
  while (*left != 0 && *left == *right) left++, right++;
  return *left == *right;
}

static void print(int fd, const char *text) {
  struct vector vector = {text, length(text)};
  u32 written;
  fdWrite(fd, &vector, 1, &written);
}

static _Noreturn void fail(const char *text) {
  print(2, text);
  print(2, "\n");
  procExit(1);
}

#define REQUIRE(condition) \
  if (!(condition)) fail(#condition)

static void wait(atomic_u32 *cell, u32 expected) {
  __builtin_wasm_memory_atomic_wait32((int *)cell, (int)expected, -1);
}

static void wake(atomic_u32 *cell) {
  __builtin_wasm_memory_atomic_notify((int *)cell, ~0u);
}

static void lock(atomic_u32 *mutex) {
  u32 expected = 0;
  if (__c11_atomic_compare_exchange_strong(mutex, &expected, 1, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return;
  while (__c11_atomic_exchange(mutex, 2, __ATOMIC_SEQ_CST) != 0) wait(mutex, 2);
}

static void unlock(atomic_u32 *mutex) {
  if (__c11_atomic_exchange(mutex, 0, __ATOMIC_SEQ_CST) == 2) wake(mutex);
}

// A thread: its stack ends where this begins.
struct thread {
  void *stack;
  void (*run)(struct thread *);
  u32 argument;
  atomic_u32 done;
  atomic_u32 identifier;
};

#define MOST 48
#define STACK 16384
static char stacks[MOST][STACK] __attribute__((aligned(16)));
static struct thread threads[MOST];

// Called by wasi_thread_start (start.s).
void runThread(int identifier, struct thread *thread) {
  thread->identifier = (u32)identifier;
  thread->run(thread);
  thread->done = 1;
  wake(&thread->done);
}

static int start(u32 index, void (*run)(struct thread *), u32 argument) {
  struct thread *thread = &threads[index];
  thread->stack = stacks[index] + STACK;
  thread->run = run;
  thread->argument = argument;
  thread->done = 0;
  return threadSpawn(thread);
}

static void join(u32 index) {
  while (threads[index].done == 0) wait(&threads[index].done, 0);
}

static void startAll(u32 count, void (*run)(struct thread *)) {
  for (u32 i = 0; i < count; i++) REQUIRE(start(i, run, i) > 0);
}

static void joinAll(u32 count) {
  for (u32 i = 0; i < count; i++) join(i);
}

// --- a counter that only a mutex keeps right -------------------------------------------------------------------
static atomic_u32 mutex;
static u32 counter;

static void count(struct thread *thread) {
  for (u32 i = 0; i < 2000; i++) {
    lock(&mutex);
    counter = counter + 1;
    unlock(&mutex);
  }
}

// --- a thread that is made by a thread that has ended ------------------------------------------------------------
static void makeAnother(struct thread *thread) {
  if (thread->argument == 0) return;
  REQUIRE(start(thread->argument - 1, makeAnother, thread->argument - 1) > 0);
}

// --- files: one table for all threads ----------------------------------------------------------------------------
static int opened[MOST];

static int openFile(const char *path, int oflags) {
  int fd = -1;
  // Rights to read, write, seek and tell.
  return pathOpen(3, 0, path, length(path), oflags, 2 | 4 | 32 | 64, 0, 0, &fd) == 0 ? fd : -1;
}

static void openOne(struct thread *thread) {
  char path[] = "file-00";
  path[5] = (char)('0' + thread->argument / 10);
  path[6] = (char)('0' + thread->argument % 10);
  opened[thread->argument] = openFile(path, 1);
}

static void openAndClose(struct thread *thread) {
  for (int i = 0; i < 200; i++) {
    const int fd = openFile("shared", 1);
    REQUIRE(fd > 3);
    REQUIRE(fdClose(fd) == 0);
  }
}

// A read that waits, of a descriptor that another thread closes meanwhile: it goes on with what it began with.
static atomic_u32 reading;
static u32 gotWhileClosed;
static void readStdin(struct thread *thread) {
  char byte = 0;
  struct vector vector = {&byte, 1};
  reading = 1;
  wake(&reading);
  REQUIRE(fdRead(0, &vector, 1, &gotWhileClosed) == 0);
}

// --- ends ----------------------------------------------------------------------------------------------------------
static void trap(struct thread *thread) {
  __builtin_trap();
}
static void exitSeven(struct thread *thread) {
  procExit(7);
}
static u32 recurse(u32 depth) {
  volatile u32 here = depth;
  return here == ~0u ? 0 : recurse(depth + 1) + here;
}
static void overflow(struct thread *thread) {
  counter = recurse(0);
}
// Takes stack of WebAssembly's and none of the memory.
static atomic_u32 zero;
static u32 descend(u32 depth) {
  return depth == 0 ? zero : (descend(depth - 1) ^ zero) + 1;
}
static void deep(struct thread *thread) {
  REQUIRE(descend(thread->argument) == thread->argument);
}
static void grow(struct thread *thread) {
  __builtin_wasm_memory_grow(0, 1);
  // The last page, which was not there when the other threads began.
  *(volatile char *)(__builtin_wasm_memory_size(0) * 65536 - 1) = 1;
}
static void sleepForEver(struct thread *thread) {
  static atomic_u32 never;
  for (;;) wait(&never, 0);
}

static void run(const char *what) {
  if (same(what, "count")) {
    startAll(8, count);
    joinAll(8);
    REQUIRE(counter == 16000);
  } else if (same(what, "chain")) {
    REQUIRE(start(20, makeAnother, 20) > 0);
    for (u32 i = 0; i <= 20; i++) join(i);
  } else if (same(what, "again")) {
    for (u32 i = 0; i < 400; i++) {
      REQUIRE(start(0, count, 0) > 0);
      join(0);
    }
    REQUIRE(counter == 800000);
  } else if (same(what, "identifiers")) {
    startAll(16, sleepForEver);
    for (u32 i = 0; i < 16; i++) {
      while (threads[i].identifier == 0) schedYield();
      REQUIRE(threads[i].identifier < 1u << 29);
      for (u32 k = 0; k < i; k++) REQUIRE(threads[i].identifier != threads[k].identifier);
    }
  } else if (same(what, "open")) {
    startAll(32, openOne);
    joinAll(32);
    for (u32 i = 0; i < 32; i++) {
      REQUIRE(opened[i] > 3);
      for (u32 k = 0; k < i; k++) REQUIRE(opened[i] != opened[k]);
      REQUIRE(fdClose(opened[i]) == 0);
      REQUIRE(fdClose(opened[i]) == 8);
    }
    REQUIRE(openFile("file-00", 0) == 4);
  } else if (same(what, "open-close")) {
    startAll(8, openAndClose);
    joinAll(8);
    REQUIRE(openFile("shared", 0) == 4);
  } else if (same(what, "close-while-read")) {
    startAll(1, readStdin);
    while (reading == 0) wait(&reading, 0);
    for (int i = 0; i < 1000; i++) schedYield();
    REQUIRE(fdClose(0) == 0);
    REQUIRE(fdClose(0) == 8);
    print(1, "closed\n");
    join(0);
    REQUIRE(gotWhileClosed == 1);
  } else if (same(what, "sleep")) {
    start(0, sleepForEver, 0);
    join(0);
  } else if (same(what, "many")) {
    startAll(MOST, sleepForEver);
    for (u32 i = 0; i < MOST; i++) while (threads[i].identifier == 0) schedYield();
  } else if (same(what, "deep") || same(what, "deeper")) {
    start(0, deep, same(what, "deep") ? 200000 : 10000000);
    join(0);
    print(1, "up again\n");
  } else if (same(what, "grow")) {
    const u32 before = __builtin_wasm_memory_size(0);
    startAll(8, grow);
    joinAll(8);
    REQUIRE(__builtin_wasm_memory_size(0) == before + 8);
    // In the new pages, for the host to read.
    char *text = (char *)(__builtin_wasm_memory_size(0) * 65536 - 16);
    for (u32 i = 0; i < 6; i++) text[i] = "grown\n"[i];
    struct vector vector = {text, 6};
    u32 written;
    REQUIRE(fdWrite(1, &vector, 1, &written) == 0);
  } else {
    // Main waits for ever while a thread ends the process.
    startAll(3, sleepForEver);
    start(3, same(what, "trap") ? trap : same(what, "exit") ? exitSeven : overflow, 0);
    join(3);
    fail("the process goes on");
  }
}

EXPORT("_start") void _start(void) {
  static char *arguments[4];
  static char text[256];
  u32 argumentCount = 0, size = 0;
  REQUIRE(argsSizesGet(&argumentCount, &size) == 0 && argumentCount == 2 && size <= sizeof text);
  REQUIRE(argsGet(arguments, text) == 0);
  run(arguments[1]);
}
