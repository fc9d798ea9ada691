// A scanner for one question about config.json: which group does this container belong to? It checks the
// grammar of the whole document (RFC 8259), keeps nothing but the annotations asked for, and recurses no
// deeper than maxDepth.
#include <string.h>

#include "launcher.h"

enum { maxDepth = 256, maxKey = 64 };

typedef struct {
  const char *at, *end;
  int depth;
} Scanner;

// A string's decoded bytes; size 0 keeps nothing.
typedef struct {
  char *out;
  size_t size, length;
  bool kept;  // false once it did not fit or held a NUL
} Sink;

static void put(Sink *sink, unsigned char byte) {
  if (byte == 0 || sink->length + 1 >= sink->size) {
    sink->kept = false;
    return;
  }
  sink->out[sink->length++] = (char)byte;
}

static void putCodePoint(Sink *sink, uint32_t code) {
  if (code < 0x80) {
    put(sink, (unsigned char)code);
    return;
  }
  if (code < 0x800) {
    put(sink, (unsigned char)(0xc0 | code >> 6));
  } else {
    if (code < 0x10000) {
      put(sink, (unsigned char)(0xe0 | code >> 12));
    } else {
      put(sink, (unsigned char)(0xf0 | code >> 18));
      put(sink, (unsigned char)(0x80 | (code >> 12 & 0x3f)));
    }
    put(sink, (unsigned char)(0x80 | (code >> 6 & 0x3f)));
  }
  put(sink, (unsigned char)(0x80 | (code & 0x3f)));
}

static void skipSpace(Scanner *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

static bool take(Scanner *s, char expected) {
  if (s->at >= s->end || *s->at != expected) return false;
  s->at++;
  return true;
}

static bool scanHex4(Scanner *s, uint32_t *out) {
  if (s->end - s->at < 4) return false;
  uint32_t value = 0;
  for (int i = 0; i < 4; i++) {
    const char c = *s->at++;
    const char lower = (char)(c | 0x20);
    if (c >= '0' && c <= '9')
      value = value << 4 | (uint32_t)(c - '0');
    else if (lower >= 'a' && lower <= 'f')
      value = value << 4 | (uint32_t)(lower - 'a' + 10);
    else
      return false;
  }
  *out = value;
  return true;
}

static bool scanUnicodeEscape(Scanner *s, Sink *sink) {
  uint32_t code = 0;
  if (!scanHex4(s, &code)) return false;
  const bool high = code >= 0xd800 && code < 0xdc00;
  if (high && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u') {
    const char *before = s->at;
    uint32_t low = 0;
    s->at += 2;
    if (!scanHex4(s, &low)) return false;
    if (low >= 0xdc00 && low < 0xe000) {
      putCodePoint(sink, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
      return true;
    }
    s->at = before;
  }
  // Half a surrogate pair becomes the replacement character, as in Go's decoder.
  putCodePoint(sink, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
  return true;
}

static bool scanEscape(Scanner *s, Sink *sink) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  if (s->at >= s->end) return false;
  const char c = *s->at++;
  if (c == 'u') return scanUnicodeEscape(s, sink);
  const char *found = c == 0 ? NULL : strchr(names, c);
  if (found == NULL) return false;
  put(sink, (unsigned char)values[found - names]);
  return true;
}

static bool scanString(Scanner *s, Sink *sink) {
  if (!take(s, '"')) return false;
  sink->kept = sink->size > 0;
  sink->length = 0;
  while (s->at < s->end) {
    const unsigned char c = (unsigned char)*s->at++;
    if (c == '"') {
      if (sink->size > 0) sink->out[sink->kept ? sink->length : 0] = 0;
      return true;
    }
    if (c < 0x20) return false;
    if (c != '\\')
      put(sink, c);
    else if (!scanEscape(s, sink))
      return false;
  }
  return false;
}

static bool scanDigits(Scanner *s) {
  const char *from = s->at;
  while (s->at < s->end && *s->at >= '0' && *s->at <= '9') s->at++;
  return s->at > from;
}

static bool scanNumber(Scanner *s) {
  take(s, '-');
  if (!take(s, '0') && !scanDigits(s)) return false;
  if (take(s, '.') && !scanDigits(s)) return false;
  if (take(s, 'e') || take(s, 'E')) {
    if (!take(s, '+')) take(s, '-');
    return scanDigits(s);
  }
  return true;
}

static bool scanLiteral(Scanner *s, const char *word) {
  const size_t length = strlen(word);
  if ((size_t)(s->end - s->at) < length || memcmp(s->at, word, length) != 0) return false;
  s->at += length;
  return true;
}

typedef bool Member(Scanner *s, const char *key, Annotations *found);

static bool scanValue(Scanner *s);

// Calls member for each key, with the scanner at its value; a key that is too long to be one of ours is
// passed as "".
static bool scanObject(Scanner *s, Member *member, Annotations *found) {
  if (!take(s, '{') || ++s->depth > maxDepth) return false;
  skipSpace(s);
  if (take(s, '}')) return s->depth--, true;
  do {
    char name[maxKey];
    Sink key = {.out = name, .size = sizeof name};
    skipSpace(s);
    if (!scanString(s, &key)) return false;
    skipSpace(s);
    if (!take(s, ':')) return false;
    skipSpace(s);
    if (!member(s, name, found)) return false;
    skipSpace(s);
  } while (take(s, ','));
  s->depth--;
  return take(s, '}');
}

static bool scanArray(Scanner *s) {
  if (!take(s, '[') || ++s->depth > maxDepth) return false;
  skipSpace(s);
  if (take(s, ']')) return s->depth--, true;
  do {
    skipSpace(s);
    if (!scanValue(s)) return false;
    skipSpace(s);
  } while (take(s, ','));
  s->depth--;
  return take(s, ']');
}

static bool skipMember(Scanner *s, const char *key, Annotations *found) {
  (void)key, (void)found;
  return scanValue(s);
}

static bool scanValue(Scanner *s) {
  Sink nowhere = {.size = 0};
  if (s->at >= s->end) return false;
  switch (*s->at) {
    case '{':
      return scanObject(s, skipMember, NULL);
    case '[':
      return scanArray(s);
    case '"':
      return scanString(s, &nowhere);
    case 't':
      return scanLiteral(s, "true");
    case 'f':
      return scanLiteral(s, "false");
    case 'n':
      return scanLiteral(s, "null");
    default:
      return scanNumber(s);
  }
}

static bool annotationMember(Scanner *s, const char *key, Annotations *found) {
  char *out = strcmp(key, "io.containerd.runc.v2.group") == 0    ? found->runcGroup
              : strcmp(key, "io.kubernetes.cri.sandbox-id") == 0 ? found->sandboxId
                                                                 : NULL;
  if (out == NULL || s->at >= s->end || *s->at != '"') return scanValue(s);
  Sink value = {.out = out, .size = maxAnnotation};
  return scanString(s, &value);
}

static bool topMember(Scanner *s, const char *key, Annotations *found) {
  if (strcmp(key, "annotations") != 0 || s->at >= s->end || *s->at != '{') return scanValue(s);
  const char *from = s->at;
  if (!scanObject(s, annotationMember, found)) return false;
  found->raw = (Bytes){(char *)from, (size_t)(s->at - from)};
  return true;
}

bool scanAnnotations(const char *json, size_t length, Annotations *out) {
  Scanner scanner = {.at = json, .end = json + length};
  out->runcGroup[0] = out->sandboxId[0] = 0;
  out->raw = (Bytes){NULL, 0};
  skipSpace(&scanner);
  bool valid = scanObject(&scanner, topMember, out);
  skipSpace(&scanner);
  valid = valid && scanner.at == scanner.end;
  if (!valid) {
    out->runcGroup[0] = out->sandboxId[0] = 0;
    out->raw = (Bytes){NULL, 0};
  }
  return valid;
}
