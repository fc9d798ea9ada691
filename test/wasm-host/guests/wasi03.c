// A command of WASI 0.3; its first argument says what it is to do.
#include "wasi03.h"

#define ENV "wasi:cli/environment" V
#define FS "wasi:filesystem/types" V

IMPORT("[export]wasi:cli/run" V, "[task-return]run") void run_return(i32 is_err);

IMPORT(ENV, "get-arguments") void get_arguments(void*);
IMPORT(ENV, "get-environment") void get_environment(void*);
IMPORT("wasi:cli/exit" V, "exit-with-code") void exit_with_code(i32);

#define STDOUT "wasi:cli/stdout" V
IMPORT(STDOUT, "write-via-stream") i32 stdout_write(i32 stream);
IMPORT(STDOUT, "[stream-new-0]write-via-stream") i64 stdout_new(void);
IMPORT(STDOUT, "[async-lower][stream-write-0]write-via-stream") i32 stdout_put(i32, const void*, i32);
IMPORT(STDOUT, "[stream-drop-writable-0]write-via-stream") void stdout_end(i32);
IMPORT(STDOUT, "[async-lower][future-read-1]write-via-stream") i32 stdout_result(i32, void*);
IMPORT(STDOUT, "[future-drop-readable-1]write-via-stream") void stdout_result_drop(i32);

#define STDIN "wasi:cli/stdin" V
IMPORT(STDIN, "read-via-stream") void stdin_read(void*);
IMPORT(STDIN, "[async-lower][stream-read-0]read-via-stream") i32 stdin_get(i32, void*, i32);
IMPORT(STDIN, "[stream-drop-readable-0]read-via-stream") void stdin_end(i32);
IMPORT(STDIN, "[async-lower][future-read-1]read-via-stream") i32 stdin_result(i32, void*);
IMPORT(STDIN, "[future-drop-readable-1]read-via-stream") void stdin_result_drop(i32);

IMPORT("wasi:clocks/monotonic-clock" V, "now") i64 now(void);
IMPORT("wasi:clocks/monotonic-clock" V, "[async-lower]wait-for") i32 wait_for(i64);
IMPORT("wasi:clocks/system-clock" V, "now") void system_now(void*);
IMPORT("wasi:random/random" V, "get-random-bytes") void random_bytes(i64, void*);
IMPORT("wasi:random/insecure-seed" V, "get-insecure-seed") void insecure_seed(void*);

IMPORT("wasi:filesystem/preopens" V, "get-directories") void get_directories(void*);
IMPORT(FS, "[async-lower][method]descriptor.open-at") i32 open_at(void* args, void* result);
IMPORT(FS, "[async-lower][method]descriptor.create-directory-at") i32 create_directory_at(i32, const char*, i32, void*);
IMPORT(FS, "[async-lower][method]descriptor.unlink-file-at") i32 unlink_at(i32, const char*, i32, void*);
IMPORT(FS, "[async-lower][method]descriptor.symlink-at") i32 symlink_at(void* args, void* result);
IMPORT(FS, "[method]descriptor.read-via-stream") void file_read(i32, i64, void*);
IMPORT(FS, "[async-lower][stream-read-0][method]descriptor.read-via-stream") i32 file_get(i32, void*, i32);
IMPORT(FS, "[stream-drop-readable-0][method]descriptor.read-via-stream") void file_read_end(i32);
IMPORT(FS, "[async-lower][future-read-1][method]descriptor.read-via-stream") i32 file_read_result(i32, void*);
IMPORT(FS, "[future-drop-readable-1][method]descriptor.read-via-stream") void file_read_result_drop(i32);
IMPORT(FS, "[method]descriptor.write-via-stream") i32 file_write(i32, i32 stream, i64);
IMPORT(FS, "[stream-new-0][method]descriptor.write-via-stream") i64 file_new(void);
IMPORT(FS, "[async-lower][stream-write-0][method]descriptor.write-via-stream") i32 file_put(i32, const void*, i32);
IMPORT(FS, "[stream-drop-writable-0][method]descriptor.write-via-stream") void file_write_end(i32);
IMPORT(FS, "[async-lower][future-read-1][method]descriptor.write-via-stream") i32 file_write_result(i32, void*);
IMPORT(FS, "[future-drop-readable-1][method]descriptor.write-via-stream") void file_write_result_drop(i32);
IMPORT(FS, "[resource-drop]descriptor") void descriptor_drop(i32);

IMPORT("wasi:sockets/types" V, "[static]tcp-socket.create") void tcp_create(i32 family, void*);
IMPORT("wasi:sockets/ip-name-lookup" V, "[async-lower]resolve-addresses") i32 resolve(const char*, i32, void*);

// The same interfaces of 0.2, as a program has them whose libc was made for that.
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") void get_arguments02(void*);
IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") i32 get_stdout02(void);
IMPORT("wasi:io/streams@0.2.12", "[method]output-stream.blocking-write-and-flush") void write02(i32, const void*, i32, void*);

/** Hands a stream to the host and writes all of it; the host's word on it: 0, or 1 and its error. */
static i32 put(const void* bytes, i32 length) {
  u8 result[8] = {9};
  i64 ends = stdout_new();
  i32 reader = (i32)ends, writer = (i32)(ends >> 32);
  i32 future = stdout_write(reader);
  for (i32 done = 0; done < length;) {
    struct copied some = copied(writer, stdout_put(writer, (const u8*)bytes + done, length - done));
    done += some.count;
    if (some.code == DROPPED) break;
  }
  stdout_end(writer);
  copied(future, stdout_result(future, result));
  stdout_result_drop(future);
  return result[0] == 0 ? 0 : 1 + result[1];
}

static i32 say(const char* text) { return put(text, length_of(text)); }

static void say_number(u64 value) {
  char digits[24];
  i32 at = sizeof digits;
  digits[--at] = '\n';
  do digits[--at] = '0' + value % 10; while ((value /= 10) != 0);
  put(digits + at, sizeof digits - at);
}

static i32 cat(i32 most) {
  struct { i32 stream, future; } input;
  static u8 buffer[65536];
  u8 result[8] = {9};
  stdin_read(&input);
  for (i32 read = 0; read < most;) {
    i32 want = most - read < (i32)sizeof buffer ? most - read : (i32)sizeof buffer;
    struct copied some = copied(input.stream, stdin_get(input.stream, buffer, want));
    read += some.count;
    if (some.count > 0) put(buffer, some.count);
    if (some.code == DROPPED) break;
  }
  stdin_end(input.stream);
  copied(input.future, stdin_result(input.future, result));
  stdin_result_drop(input.future);
  return result[0];
}

/** Waits for input by a read of nothing, then takes what one read gives. */
static void await_input(void) {
  struct { i32 stream, future; } input;
  u8 result[8], buffer[100];
  stdin_read(&input);
  copied(input.stream, stdin_get(input.stream, buffer, 0));
  put(buffer, copied(input.stream, stdin_get(input.stream, buffer, sizeof buffer)).count);
  stdin_end(input.stream);
  copied(input.future, stdin_result(input.future, result));
  stdin_result_drop(input.future);
}

enum { READ = 1, WRITE = 2 };
enum { CREATE = 1, DIRECTORY = 2, EXCLUSIVE = 4, TRUNCATE = 8 };

/** A descriptor, or minus one and the error's number in `error`. */
static i32 error;
static i32 open(i32 directory, struct text path, i32 open_flags, i32 flags) {
  struct { i32 self, path_flags; const char* path; i32 length, open_flags, flags; } args =
      {directory, 0, path.bytes, path.length, open_flags, flags};
  u8 result[32] __attribute__((aligned(8)));
  called(open_at(&args, result));
  error = result[4];
  return result[0] == 0 ? *(i32*)(result + 4) : -1;
}

static i32 preopen(void) {
  struct { struct { i32 descriptor; struct text path; }* list; i32 count; } found;
  get_directories(&found);
  return found.count == 0 ? -1 : found.list[0].descriptor;
}

static void write_file(struct text path, struct text content) {
  u8 result[32];
  i32 file = open(preopen(), path, CREATE | TRUNCATE, WRITE);
  if (file < 0) { say("open error "); say_number(error); return; }
  i64 ends = file_new();
  i32 reader = (i32)ends, writer = (i32)(ends >> 32);
  i32 future = file_write(file, reader, 0);
  descriptor_drop(file);
  copied(writer, file_put(writer, content.bytes, content.length));
  file_write_end(writer);
  copied(future, file_write_result(future, result));
  file_write_result_drop(future);
  say(result[0] == 0 ? "written\n" : "failed\n");
}

static void read_file(struct text path) {
  static u8 buffer[4096];
  u8 result[32];
  struct { i32 stream, future; } input;
  i32 file = open(preopen(), path, 0, READ);
  if (file < 0) { say("open error "); say_number(error); return; }
  file_read(file, 0, &input);
  descriptor_drop(file);
  for (;;) {
    struct copied some = copied(input.stream, file_get(input.stream, buffer, sizeof buffer));
    if (some.count > 0) put(buffer, some.count);
    if (some.code == DROPPED) break;
  }
  file_read_end(input.stream);
  copied(input.future, file_read_result(input.future, result));
  file_read_result_drop(input.future);
  if (result[0] != 0) { say("read error "); say_number(result[4]); }
}

// Takes stack of WebAssembly's and none of the memory.
static volatile i32 zero;
static i32 descend(i32 depth) {
  return depth == 0 ? zero : (descend(depth - 1) ^ zero) + 1;
}

static i32 program(struct text* args, i32 count) {
  u8 result[32] __attribute__((aligned(8)));
  struct text what = count > 1 ? args[1] : (struct text){"hello", 5};
  if (is(what, "hello")) say("hello\n");
  if (is(what, "args")) for (i32 i = 0; i < count; i++) { put(args[i].bytes, args[i].length); say("\n"); }
  if (is(what, "both")) {
    struct { struct text* list; i32 count; } args02;
    get_arguments02(&args02);
    say("0.3\n");
    write02(get_stdout02(), args02.list[2].bytes, args02.list[2].length, result);
    say("\n0.3\n");
  }
  if (is(what, "env")) {
    struct { struct { struct text name, value; }* list; i32 count; } found;
    get_environment(&found);
    for (i32 i = 0; i < found.count; i++) {
      put(found.list[i].name.bytes, found.list[i].name.length);
      say("=");
      put(found.list[i].value.bytes, found.list[i].value.length);
      say("\n");
    }
  }
  if (is(what, "err")) return 1;
  if (is(what, "exit")) exit_with_code(number(args[2]));
  if (is(what, "say-and-exit")) { say("said\n"); exit_with_code(7); }
  if (is(what, "trap")) { say("before\n"); __builtin_trap(); }
  if (is(what, "deep") && descend(number(args[2])) == number(args[2])) say("up again\n");
  if (is(what, "late-trap")) { run_return(0); __builtin_trap(); }
  if (is(what, "cat")) return cat(0x7fffffff);
  if (is(what, "await-input")) await_input();
  if (is(what, "head")) { cat(number(args[2])); say("|"); cat(0x7fffffff); }
  if (is(what, "much")) {
    static char line[100000];
    for (i32 i = 0; i < (i32)sizeof line; i++) line[i] = i % 10 == 9 ? '\n' : '0' + i % 10;
    for (i32 i = 0; i < 20; i++) put(line, sizeof line);
  }
  if (is(what, "many")) for (i32 i = number(args[2]); i > 0; i--) { say("x"); called(wait_for(0)); }
  if (is(what, "stuck")) {
    // asks how the writing went before it has ended it
    i64 ends = stdout_new();
    i32 future = stdout_write((i32)ends);
    copied(future, stdout_result(future, result));
  }
  if (is(what, "put-error")) exit_with_code(10 + say("x"));
  if (is(what, "sleep")) {
    i64 start = now();
    called(wait_for(50000000));
    say(now() - start >= 50000000 ? "slept\n" : "too early\n");
  }
  if (is(what, "time")) { system_now(result); say_number(*(u64*)result); }
  if (is(what, "random")) {
    struct text bytes;
    random_bytes((i64)1 << 40, &bytes);
    say_number(bytes.length);
    random_bytes(0, &bytes);
    say_number(bytes.length);
    i64 seeds[4];
    insecure_seed(seeds);
    insecure_seed(seeds + 2);
    say(seeds[0] == seeds[2] && seeds[1] == seeds[3] ? "one seed\n" : "two seeds\n");
  }
  if (is(what, "deterministic")) {
    struct text bytes;
    i64 seed[2];
    random_bytes(8, &bytes);
    for (i32 i = 0; i < bytes.length; i++) say_number((u8)bytes.bytes[i]);
    insecure_seed(seed);
    say_number(seed[0] & 0xffff);
    system_now(result);
    say_number(*(u64*)result);
    say_number(now());
    called(wait_for(100000000000000));
    say_number(now());
  }
  if (is(what, "spin")) for (volatile i32 i = 0;; i++) continue;
  if (is(what, "grow")) {
    while (__builtin_wasm_memory_grow(0, 1) != (__SIZE_TYPE__)-1) continue;
    say_number(__builtin_wasm_memory_size(0));
  }
  if (is(what, "open")) {
    for (i32 i = number(args[3]); i > 0; i--) if (open(preopen(), args[2], 0, READ) < 0) return 1;
    say("opened\n");
  }
  if (is(what, "preopens")) say(preopen() < 0 ? "none\n" : "some\n");
  if (is(what, "write")) write_file(args[2], args[3]);
  if (is(what, "read")) read_file(args[2]);
  if (is(what, "mkdir")) {
    called(create_directory_at(preopen(), args[2].bytes, args[2].length, result));
    say_number(result[0] == 0 ? 0 : 1 + result[4]);
  }
  if (is(what, "tcp")) { tcp_create(0, result); say_number(result[0] == 0 ? 0 : 1 + result[4]); }
  if (is(what, "resolve")) {
    called(resolve(args[2].bytes, args[2].length, result));
    say_number(result[0] == 0 ? 0 : 1 + result[4]);
  }
  return 0;
}

EXPORT("[async-lift]wasi:cli/run" V "#run") i32 run(void) {
  struct { struct text* list; i32 count; } args;
  get_arguments(&args);
  run_return(program(args.list, args.count));
  return 0;
}

EXPORT("[callback][async-lift]wasi:cli/run" V "#run") i32 run_callback(i32 event, i32 waitable, i32 code) {
  (void)event, (void)waitable, (void)code;
  __builtin_trap();
}
