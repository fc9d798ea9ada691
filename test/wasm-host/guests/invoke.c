// The world shop of invoke.wit: functions that give back what they get, by the canonical ABI.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(name)))
#define API(name) EXPORT("acme:shop/api@1.2.0#" name)

static char heap[1 << 16] __attribute__((aligned(16)));
static u32 used;

EXPORT("cabi_realloc") void *cabiRealloc(void *old, u32 oldSize, u32 align, u32 size) {
  used = (used + align - 1) & ~(align - 1);
  char *at = heap + used;
  used += size;
  if (used > sizeof heap) __builtin_trap();
  for (u32 i = 0; i < oldSize; i++) at[i] = ((char *)old)[i];
  return at;
}

struct text {
  const void *at;
  u32 size;
};

struct point {
  int x;
  double y;
  u8 hasNote;
  struct text note;
};
API("echo-point") struct point *echoPoint(int x, double y, u32 hasNote, const void *at, u32 size) {
  static struct point result;
  result.x = x;
  result.y = y;
  result.hasNote = (u8)hasNote;
  result.note.at = at;
  result.note.size = size;
  return &result;
}

struct shape {
  u8 kind;
  u32 payload;
  u32 size;
};
API("echo-shape") struct shape *echoShape(u32 kind, u32 payload, u32 size) {
  static struct shape result;
  result.kind = (u8)kind;
  result.payload = payload;
  result.size = size;
  return &result;
}

API("echo-direction") u32 echoDirection(u32 direction) { return direction; }
API("echo-perms") u32 echoPerms(u32 perms) { return perms; }

static struct text *give(const void *at, u32 size) {
  static struct text result;
  result.at = at;
  result.size = size;
  return &result;
}
API("echo-numbers") struct text *echoNumbers(const void *at, u32 count) { return give(at, count); }
API("echo-bytes") struct text *echoBytes(const void *at, u32 count) { return give(at, count); }
API("echo-texts") struct text *echoTexts(const void *at, u32 count) { return give(at, count); }

struct tuple {
  u32 letter;
  u8 truth;
  signed char small;
  u16 middle;
  long long large;
  float real;
};
API("echo-tuple")
struct tuple *echoTuple(u32 letter, u32 truth, int small, u32 middle, long long large, float real) {
  static struct tuple result;
  result.letter = letter;
  result.truth = (u8)truth;
  result.small = (signed char)small;
  result.middle = (u16)middle;
  result.large = large;
  result.real = real;
  return &result;
}

API("echo-nested") u8 *echoNested(u32 outer, u32 inner, u32 value) {
  static u8 result[3];
  result[0] = (u8)outer;
  result[1] = (u8)inner;
  result[2] = (u8)value;
  return result;
}

struct quotient {
  u8 failed;
  union {
    u32 value;
    struct text reason;
  } either;
};
API("divide") struct quotient *divide(u32 a, u32 b) {
  static struct quotient result;
  result.failed = b == 0;
  if (b != 0) {
    result.either.value = a / b;
  } else {
    result.either.reason.at = "by \"zero\"\n";
    result.either.reason.size = 10;
  }
  return &result;
}

API("both") u32 bothApi(void) { return 1; }
EXPORT("acme:shop/other@1.2.0#both") u32 bothOther(void) { return 2; }
EXPORT("add") u32 add(u32 a, u32 b) { return a + b; }
EXPORT("nothing") void nothing(void) {}
EXPORT("trap") void trap(void) { __builtin_trap(); }

static char *append(char *to, const char *from, u32 size) {
  for (u32 i = 0; i < size; i++) *to++ = from[i];
  return to;
}
EXPORT("greet-http")
struct text *greet(const char *name, u32 nameSize, u32 hasGreeting, const char *greeting, u32 greetingSize) {
  static char line[1024];
  char *end = hasGreeting ? append(line, greeting, greetingSize) : append(line, "hello", 5);
  end = append(end, " ", 1);
  end = append(end, name, nameSize);
  return give(line, (u32)(end - line));
}
