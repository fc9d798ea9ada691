// What Lua calls and wasi-libc lacks. A guest has neither processes nor temporary files.
#include <errno.h>
#include <stdio.h>

extern "C" {

// All that is left of libc++abi: no exception has an object to look after.
void *__cxa_begin_catch(void *thrown) { return thrown; }
void __cxa_end_catch(void) {}

FILE *tmpfile(void) {
  errno = ENOTSUP;
  return nullptr;
}
char *tmpnam(char *) { return nullptr; }
int system(const char *) {
  errno = ENOTSUP;
  return -1;
}
}
