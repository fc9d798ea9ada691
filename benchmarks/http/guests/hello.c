// The least that an http component can be: takes a request, answers "hello", and gives back everything it was given. The
// canonical ABI by hand, as bindings would have it.
typedef int i32;
typedef long long i64;
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

IMPORT(HTTP, "[resource-drop]incoming-request") void request_drop(i32);
IMPORT(HTTP, "[constructor]fields") i32 fields_new(void);
IMPORT(HTTP, "[method]fields.append") void fields_append(i32, const char*, i32, const char*, i32, void*);
IMPORT(HTTP, "[constructor]outgoing-response") i32 response_new(i32 fields);
IMPORT(HTTP, "[method]outgoing-response.body") void response_body(i32, void*);
IMPORT(HTTP, "[static]response-outparam.set") void answer(i32, i32, i32, i32, i64, i32, i32, i32, i32);
IMPORT(HTTP, "[method]outgoing-body.write") void body_write(i32, void*);
IMPORT(HTTP, "[static]outgoing-body.finish") void body_finish(i32, i32, i32, void*);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush") void stream_write(i32, const void*, i32, void*);
IMPORT(STREAMS, "[resource-drop]output-stream") void stream_drop(i32);

static char heap[4096];
static unsigned used;

// Nothing that is called has anything to return in memory but into what it is given.
__attribute__((export_name("cabi_realloc"))) void* cabi_realloc(void* old, i32 old_size, i32 align, i32 size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(unsigned)(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  void* place = heap + used;
  used += size;
  return place;
}

struct result {
  i32 tag;
  i32 handle;
  i32 rest[16];
} __attribute__((aligned(8)));

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(i32 request, i32 out) {
  struct result result;
  request_drop(request);
  i32 fields = fields_new();
  fields_append(fields, "content-type", 12, "text/plain", 10, &result);
  i32 response = response_new(fields);
  response_body(response, &result);
  i32 body = result.handle;
  answer(out, 0, response, 0, 0, 0, 0, 0, 0);
  body_write(body, &result);
  i32 stream = result.handle;
  stream_write(stream, "hello\n", 6, &result);
  stream_drop(stream);
  body_finish(body, 0, 0, &result);
}
