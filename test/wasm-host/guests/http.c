// A wasi:http/proxy component in C without bindings: the canonical ABI by hand, so that it is 4 KB and its every call is visible.
typedef unsigned char u8;
typedef int i32;
typedef long long i64;
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

IMPORT(HTTP, "[constructor]fields") i32 fields_new(void);
IMPORT(HTTP, "[method]fields.append") void fields_append(i32, const char*, i32, const char*, i32, void*);
IMPORT(HTTP, "[constructor]outgoing-response") i32 response_new(i32 fields);
IMPORT(HTTP, "[method]outgoing-response.set-status-code") i32 response_status(i32, i32);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(i32, void*);
IMPORT(HTTP, "[static]response-outparam.set") void answer(i32, i32, i32, i32, i64, i32, i32, i32, i32);
IMPORT(HTTP, "[method]outgoing-body.write") void body_write(i32, void*);
IMPORT(HTTP, "[static]outgoing-body.finish") void body_finish(i32, i32, i32, void*);
IMPORT(HTTP, "[method]incoming-request.path-with-query") void request_path(i32, void*);
IMPORT(HTTP, "[method]incoming-request.consume") void request_consume(i32, void*);
IMPORT(HTTP, "[method]incoming-body.stream") void body_stream(i32, void*);
IMPORT(HTTP, "[constructor]outgoing-request") i32 outgoing_request(i32 fields);
IMPORT(HTTP, "[method]outgoing-request.set-authority") i32 set_authority(i32, i32, const char*, i32);
IMPORT(HTTP, "[method]outgoing-request.set-scheme") i32 set_scheme(i32, i32, i32, i32, i32);
IMPORT(HTTP, "[method]future-incoming-response.subscribe") i32 future_subscribe(i32);
IMPORT(HTTP, "[method]future-incoming-response.get") void future_get(i32, void*);
IMPORT(HTTP, "[method]incoming-response.consume") void incoming_consume(i32, void*);
IMPORT("wasi:http/outgoing-handler@0.2.12", "handle") void fetch(i32, i32, i32, void*);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(i32, const void*, i32, void*);
IMPORT(STREAMS, "[resource-drop]output-stream") void output_drop(i32);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(i32, i64, void*);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(i32);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") i32 subscribe_duration(i64);

static u8 heap[1 << 20];
static unsigned used;
static i32 requests;
static i32 endless_realloc;
static u8 dirty[1 << 18];

__attribute__((export_name("cabi_realloc"))) void* cabi_realloc(void* old, i32 old_size, i32 align, i32 size) {
  (void)old, (void)old_size;
  while (endless_realloc) __asm__ volatile("");
  used = (used + align - 1) & ~(unsigned)(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  void* place = heap + used;
  used += size;
  return place;
}

struct result { i32 tag; i32 handle; i32 length; i32 rest[17]; } __attribute__((aligned(8)));

static int is(const char* path, i32 length, const char* name) {
  i32 i = 0;
  for (; i < length && path[i] != '?'; i++) if (path[i] != name[i]) return 0;
  return name[i] == 0;
}

static i32 begin(i32 out, i32 status, i32 fields, i32* body) {
  struct result result;
  i32 response = response_new(fields);
  if (response_status(response, status) != 0) __builtin_trap();
  response_body(response, &result);
  *body = result.handle;
  body_write(*body, &result);
  i32 stream = result.handle;
  answer(out, 0, response, 0, 0, 0, 0, 0, 0);
  return stream;
}

static int put(i32 stream, const void* bytes, i32 length) {
  struct result result;
  stream_write(stream, bytes, length, &result);
  return (u8)result.tag == 0;
}

static void finish(i32 stream, i32 body, i32 trailers) {
  struct result result;
  output_drop(stream);
  body_finish(body, trailers != 0, trailers, &result);
}

static void copy(i32 incoming_body, i32 stream) {
  struct result result;
  body_stream(incoming_body, &result);
  i32 input = result.handle;
  for (;;) {
    used = 0;
    stream_read(input, 65536, &result);
    if ((u8)result.tag != 0) return;
    if (!put(stream, (void*)result.handle, result.length)) return;
  }
}

static void echo(i32 request, i32 out) {
  struct result result;
  i32 body, stream = begin(out, 200, fields_new(), &body);
  request_consume(request, &result);
  copy(result.handle, stream);
  finish(stream, body, 0);
}

static void spin(void) {
  for (;;) __asm__ volatile("");
}

/** Paths at which something is done that a guest may not do, or not for ever. True when it was one of them. */
static int misbehave(const char* name, i32 length, i32 request, i32 out) {
  struct result result;
  i32 body, stream;
  if (is(name, length, "/spin")) spin();
  if (is(name, length, "/spin-in-realloc")) {
    endless_realloc = 1;
    request_path(request, &result);
  }
  if (is(name, length, "/spin-after-waiting")) {
    pollable_block(subscribe_duration(1000000));
    spin();
  }
  if (is(name, length, "/spin-after-answer")) {
    stream = begin(out, 200, fields_new(), &body);
    put(stream, "hello\n", 6);
    finish(stream, body, 0);
    spin();
  }
  if (is(name, length, "/late-after-waiting")) {
    stream = begin(out, 200, fields_new(), &body);
    put(stream, "part", 4);
    pollable_block(subscribe_duration(20000000));
    __builtin_trap();
  }
  if (is(name, length, "/unfinished")) {
    stream = begin(out, 200, fields_new(), &body);
    put(stream, "part", 4);
    return 1;
  }
  if (is(name, length, "/never")) pollable_block(subscribe_duration(0x7fffffffffffffff));
  if (is(name, length, "/finish-with-stream")) {
    stream = begin(out, 200, fields_new(), &body);
    body_finish(body, 0, 0, &result);
  }
  if (is(name, length, "/write-after-finish")) {
    stream = begin(out, 200, fields_new(), &body);
    finish(stream, body, 0);
    put(stream, "more", 4);
  }
  if (is(name, length, "/handle-twice")) {
    stream = begin(out, 200, fields_new(), &body);
    finish(stream, body, 0);
    body_finish(body, 0, 0, &result);
  }
  if (is(name, length, "/handle-of-another")) body_finish(request, 0, 0, &result);
  if (is(name, length, "/string-outside")) {
    i32 fields = fields_new();
    fields_append(fields, (char*)0x7ffffff0, 100, "x", 1, &result);
  }
  if (is(name, length, "/string-no-text")) {
    i32 fields = fields_new();
    fields_append(fields, "\xff\xfe", 2, "x", 1, &result);
  }
  if (is(name, length, "/result-outside")) request_path(request, (void*)0x7ffffff0);
  if (is(name, length, "/status-101")) {
    stream = begin(out, 101, fields_new(), &body);
    finish(stream, body, 0);
    return 1;
  }
  return 0;
}

/** Leaves its mark wherever an instance can be marked, and tells whether there was one. */
static void mark(i32 out) {
  i32 body, stream = begin(out, 200, fields_new(), &body);
  i32 marked = 0;
  for (unsigned i = 0; i < sizeof dirty; i += 1000) marked |= dirty[i], dirty[i] = 1;
  put(stream, marked ? "marked" : "clean", marked ? 6 : 5);
  finish(stream, body, 0);
}

/** The same, with a page of memory more. */
static void grow(i32 out) {
  i32 body, stream = begin(out, 200, fields_new(), &body);
  i32 before = __builtin_wasm_memory_size(0);
  if (__builtin_wasm_memory_grow(0, 1) != before) __builtin_trap();
  char digits[3] = {'0' + before / 100 % 10, '0' + before / 10 % 10, '0' + before % 10};
  put(stream, digits, 3);
  finish(stream, body, 0);
}

/** /fetch?host:port gets that authority's / and passes it on; a refusal is 403. */
static void pass_on(const char* authority, i32 length, i32 out) {
  struct result result;
  i32 request = outgoing_request(fields_new());
  set_scheme(request, 1, 0, 0, 0);
  set_authority(request, 1, authority, length);
  fetch(request, 0, 0, &result);
  i32 body, stream;
  if ((u8)result.tag != 0) {
    stream = begin(out, 403, fields_new(), &body);
    finish(stream, body, 0);
    return;
  }
  i32 future = ((i32*)&result)[2];
  pollable_block(future_subscribe(future));
  // option<result<result<incoming-response, error-code>>>: tags at 0, 8 and 16, the handle at 24
  future_get(future, &result);
  u8* outcome = (u8*)&result;
  if (outcome[16] != 0) {
    stream = begin(out, 502, fields_new(), &body);
  } else {
    i32 response = *(i32*)(outcome + 24);
    incoming_consume(response, &result);
    i32 incoming = result.handle;
    stream = begin(out, 200, fields_new(), &body);
    copy(incoming, stream);
  }
  finish(stream, body, 0);
}

// Takes stack of WebAssembly's and none of the memory.
static volatile i32 zero;
static i32 descend(i32 depth) {
  return depth == 0 ? zero : (descend(depth - 1) ^ zero) + 1;
}

// Bindings that have something to tidy up after a call insist on it being done before the next.
static unsigned tidied;

__attribute__((export_name("cabi_post_wasi:http/incoming-handler@0.2.12#handle"))) void tidy_up(void) {
  tidied++;
}

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(i32 request, i32 out) {
  struct result path;
  request_path(request, &path);
  const char* name = (const char*)path.handle;
  i32 length = path.length, body, stream;
  if (requests != tidied) __builtin_trap();
  requests++;
  if (is(name, length, "/trap")) __builtin_trap();
  if (misbehave(name, length, request, out)) return;
  if (is(name, length, "/mark")) return mark(out);
  if (is(name, length, "/grow")) return grow(out);
  if (is(name, length, "/none")) return;
  if (is(name, length, "/deep") && descend(60000) != 60000) __builtin_trap();
  if (is(name, length, "/deeper")) descend(10000000);
  if (is(name, length, "/echo")) return echo(request, out);
  if (length > 7 && is(name, length, "/fetch")) return pass_on(name + 7, length - 7, out);
  if (is(name, length, "/sleep")) pollable_block(subscribe_duration(300000000));
  i32 fields = fields_new(), trailers = 0;
  if (is(name, length, "/short")) fields_append(fields, "content-length", 14, "10", 2, &path);
  stream = begin(out, 200, fields, &body);
  if (is(name, length, "/count")) {
    char digit = '0' + requests % 10;
    put(stream, &digit, 1);
  } else if (is(name, length, "/big")) {
    for (int i = 0; i < 128; i++) if (!put(stream, heap, 65536)) break;
  } else if (is(name, length, "/late")) {
    put(stream, "part", 4);
    __builtin_trap();
  } else {
    put(stream, "hello\n", 6);
  }
  if (is(name, length, "/trailers")) {
    trailers = fields_new();
    fields_append(trailers, "x-checksum", 10, "abc", 3, &path);
  }
  finish(stream, body, trailers);
}
