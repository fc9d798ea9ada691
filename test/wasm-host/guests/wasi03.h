// What programs of WASI 0.3 in C share that have no bindings: the canonical ABI by hand, so that they are small and their every call is
// visible. Each async call is waited for on the spot (waitable-set.wait), so that a program reads from top to bottom.
typedef unsigned char u8;
typedef int i32;
typedef unsigned u32;
typedef long long i64;
typedef unsigned long long u64;
#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define V "@0.3.0"

IMPORT("$root", "[waitable-set-new]") i32 set_new(void);
IMPORT("$root", "[waitable-set-wait]") i32 set_wait(i32 set, void* event);
IMPORT("$root", "[waitable-join]") void join(i32 waitable, i32 set);
IMPORT("$root", "[subtask-drop]") void subtask_drop(i32);

enum { BLOCKED = -1, RETURNED = 2, COMPLETED = 0, DROPPED = 1 };

static u8 heap[1 << 21];
static u32 used;

EXPORT("cabi_realloc") void* cabi_realloc(void* old, u32 old_size, u32 align, u32 size) {
  (void)old, (void)old_size;
  used = (used + align - 1) & ~(align - 1);
  if (used + size > sizeof heap) __builtin_trap();
  void* place = heap + used;
  used += size;
  return place;
}

struct text { const char* bytes; i32 length; };

static i32 length_of(const char* text) {
  i32 length = 0;
  while (text[length]) length++;
  return length;
}

static int is(struct text text, const char* other) {
  if (text.length != length_of(other)) return 0;
  for (i32 i = 0; i < text.length; i++) if (text.bytes[i] != other[i]) return 0;
  return 1;
}

static i32 number(struct text text) {
  i32 value = 0;
  for (i32 i = 0; i < text.length; i++) value = value * 10 + text.bytes[i] - '0';
  return value;
}

/** Waits for one waitable; what its event says. */
static i32 event_of(i32 waitable) {
  static i32 set;
  i32 event[2];
  if (set == 0) set = set_new();
  join(waitable, set);
  set_wait(set, event);
  join(waitable, 0);
  return event[1];
}

/** An async call: the low bits are its state, the others its subtask. */
static void called(i32 result) {
  if ((result & 15) == RETURNED) return;
  i32 subtask = result >> 4;
  if (event_of(subtask) != RETURNED) __builtin_trap();
  subtask_drop(subtask);
}

/** A copy of a stream or future: how many, and whether the other end is gone. */
struct copied { i32 count; i32 code; };
static struct copied copied(i32 end, i32 result) {
  if (result == BLOCKED) result = event_of(end);
  return (struct copied){(i32)((u32)result >> 4), result & 15};
}
