/* Before each of Lua's files: what wasi-libc lacks, and errors as WebAssembly exceptions in place of longjmp. */
#include <stdio.h>

#define L_tmpnam 20
#define LUAI_THROW(L, c) __builtin_wasm_throw(0, (c))
#define LUAI_TRY(L, c, a) \
  try {                   \
    a                     \
  } catch (...) {         \
    if ((c)->status == 0) (c)->status = -1; \
  }
#define luai_jmpbuf int
