// A service of wasi:http 0.3; the path says what it is to do.
#include "wasi03.h"

#define HTTP "wasi:http/types" V
#define NEW "[static]response.new"
#define CONSUME "[static]request.consume-body"
#define FETCH "[static]request.new"

IMPORT("[export]wasi:http/handler" V, "[task-return]handle") void answer(i32 is_err, i32, i32, i64, i32, i32, i32, i32);
IMPORT(HTTP, "[constructor]fields") i32 fields_new(void);
IMPORT(HTTP, "[method]fields.append") void fields_append(i32, const char*, i32, const char*, i32, void*);
IMPORT(HTTP, "[method]request.get-path-with-query") void request_path(i32, void*);
IMPORT(HTTP, "[method]request.set-authority") i32 set_authority(i32, i32, const char*, i32);
IMPORT(HTTP, "[method]request.set-scheme") i32 set_scheme(i32, i32, i32, i32, i32);
IMPORT(HTTP, "[method]response.set-status-code") i32 response_status(i32, i32);
IMPORT(HTTP, "[resource-drop]request") void request_drop(i32);

IMPORT(HTTP, NEW) void response_new(i32 headers, i32 has_body, i32 body, i32 trailers, void*);
IMPORT(HTTP, "[stream-new-0]" NEW) i64 body_new(void);
IMPORT(HTTP, "[async-lower][stream-write-0]" NEW) i32 body_put(i32, const void*, i32);
IMPORT(HTTP, "[stream-drop-writable-0]" NEW) void body_end(i32);
IMPORT(HTTP, "[future-new-1]" NEW) i64 trailers_new(void);
IMPORT(HTTP, "[async-lower][future-write-1]" NEW) i32 trailers_put(i32, const void*);
IMPORT(HTTP, "[future-drop-writable-1]" NEW) void trailers_end(i32);
IMPORT(HTTP, "[future-drop-readable-2]" NEW) void sent_drop(i32);

IMPORT(HTTP, CONSUME) void request_consume(i32 request, i32 result, void*);
IMPORT(HTTP, "[future-new-0]" CONSUME) i64 result_new(void);
IMPORT(HTTP, "[async-lower][future-write-0]" CONSUME) i32 result_put(i32, const void*);
IMPORT(HTTP, "[future-drop-writable-0]" CONSUME) void result_end(i32);
IMPORT(HTTP, "[async-lower][stream-read-1]" CONSUME) i32 content_get(i32, void*, i32);
IMPORT(HTTP, "[stream-drop-readable-1]" CONSUME) void content_end(i32);
IMPORT(HTTP, "[async-lower][future-read-2]" CONSUME) i32 content_trailers(i32, void*);
IMPORT(HTTP, "[future-drop-readable-2]" CONSUME) void content_trailers_end(i32);

IMPORT(HTTP, FETCH) void request_new(i32 headers, i32 has_body, i32 body, i32 trailers, i32 has_options, i32 options, void*);
IMPORT(HTTP, "[async-lower][future-read-2]" FETCH) i32 request_sent(i32, void*);
IMPORT(HTTP, "[future-drop-readable-2]" FETCH) void request_sent_drop(i32);
IMPORT("wasi:http/client" V, "[async-lower]send") i32 send(i32 request, void*);
IMPORT("wasi:clocks/monotonic-clock" V, "[async-lower]wait-for") i32 wait_for(i64);

static i32 requests;

/** A result<option<trailers>, error-code> of its own size. */
struct trailers { u8 is_err, pad[7], is_some, pad2[3]; i32 fields; u8 rest[24]; } __attribute__((aligned(8)));

/** Answers, and goes on: the writer of the body's stream and the one of the trailers' future. */
struct open { i32 body, trailers; };
static struct open begin(i32 status, i32 headers) {
  i32 made[2];
  i64 body = body_new(), trailers = trailers_new();
  response_new(headers, 1, (i32)body, (i32)trailers, made);
  sent_drop(made[1]);
  if (response_status(made[0], status) != 0) __builtin_trap();
  answer(0, made[0], 0, 0, 0, 0, 0, 0);
  return (struct open){(i32)(body >> 32), (i32)(trailers >> 32)};
}

static int put(struct open to, const void* bytes, i32 length) {
  for (i32 done = 0; done < length;) {
    struct copied some = copied(to.body, body_put(to.body, (const u8*)bytes + done, length - done));
    done += some.count;
    if (some.code == DROPPED) return 0;
  }
  return 1;
}

static void finish(struct open to, struct trailers* trailers) {
  static struct trailers none;
  body_end(to.body);
  copied(to.trailers, trailers_put(to.trailers, trailers != 0 ? trailers : &none));
  trailers_end(to.trailers);
}

struct content { i32 stream, trailers; };
static struct content consume(i32 request) {
  static u8 ok[40];
  struct content content;
  i64 result = result_new();
  request_consume(request, (i32)result, &content);
  i32 writer = (i32)(result >> 32);
  copied(writer, result_put(writer, ok));
  result_end(writer);
  return content;
}

static void echo(i32 request) {
  static u8 buffer[65536];
  struct trailers trailers;
  struct content content = consume(request);
  struct open to = begin(200, fields_new());
  for (;;) {
    struct copied some = copied(content.stream, content_get(content.stream, buffer, sizeof buffer));
    if (some.count > 0 && !put(to, buffer, some.count)) break;
    if (some.code == DROPPED) break;
  }
  content_end(content.stream);
  copied(content.trailers, content_trailers(content.trailers, &trailers));
  content_trailers_end(content.trailers);
  finish(to, trailers.is_err == 0 && trailers.is_some ? &trailers : 0);
}

enum { REQUEST_DENIED = 15 };

/** /fetch?host:port sends that authority a request and passes its answer on as it is; an error becomes 403 or 502, and what `new`'s future says. */
static void pass_on(const char* authority, i32 length) {
  static struct trailers none;
  u8 result[48] __attribute__((aligned(8)));
  i32 made[2];
  i64 trailers = trailers_new();
  request_new(fields_new(), 0, 0, (i32)trailers, 0, 0, made);
  set_scheme(made[0], 1, 0, 0, 0);
  set_authority(made[0], 1, authority, length);
  i32 writer = (i32)(trailers >> 32);
  i32 writing = trailers_put(writer, &none);
  called(send(made[0], result));
  copied(writer, writing);
  trailers_end(writer);
  if (result[0] == 0) {
    request_sent_drop(made[1]);
    answer(0, *(i32*)(result + 8), 0, 0, 0, 0, 0, 0);
    return;
  }
  i32 status = result[8] == REQUEST_DENIED ? 403 : 502;
  copied(made[1], request_sent(made[1], result));
  request_sent_drop(made[1]);
  struct open to = begin(status, fields_new());
  if (result[0] == 1) put(to, "not sent", 8);
  finish(to, 0);
}

EXPORT("[async-lift]wasi:http/handler" V "#handle") i32 handle(i32 request) {
  u8 result[32];
  struct { i32 is_some; struct text path; } found;
  request_path(request, &found);
  struct text name = found.path, query = {"", 0};
  for (i32 i = 0; i < name.length; i++) {
    if (name.bytes[i] != '?') continue;
    query = (struct text){name.bytes + i + 1, name.length - i - 1};
    name.length = i;
  }
  requests++;
  if (is(name, "/trap")) __builtin_trap();
  if (is(name, "/none")) return 0;
  if (is(name, "/error")) return answer(1, 38, 0, 0, 0, 0, 0, 0), 0;
  if (is(name, "/echo")) return echo(request), 0;
  if (is(name, "/fetch")) return pass_on(query.bytes, query.length), 0;
  request_drop(request);
  if (is(name, "/sleep")) called(wait_for(300000000));
  i32 headers = fields_new();
  if (is(name, "/short")) fields_append(headers, "content-length", 14, "10", 2, result);
  struct open to = begin(200, headers);
  if (is(name, "/count")) {
    char digit = '0' + requests % 10;
    put(to, &digit, 1);
  } else if (is(name, "/big")) {
    for (int i = 0; i < 128; i++) if (!put(to, heap, 65536)) break;
  } else if (is(name, "/late")) {
    put(to, "part", 4);
    __builtin_trap();
  } else {
    put(to, "hello\n", 6);
  }
  struct trailers trailers = {0};
  if (is(name, "/trailers")) {
    trailers.is_some = 1;
    trailers.fields = fields_new();
    fields_append(trailers.fields, "x-checksum", 10, "abc", 3, result);
  }
  if (is(name, "/broken")) trailers.is_err = 1;
  finish(to, &trailers);
  return 0;
}

EXPORT("[callback][async-lift]wasi:http/handler" V "#handle") i32 handle_callback(i32 event, i32 waitable, i32 code) {
  (void)event, (void)waitable, (void)code;
  __builtin_trap();
}
