// An interpreter of a small bytecode: one switch in one loop in a function that is called once, as interpreters are written.
#include <stdint.h>
#include <stdio.h>

enum op { PUSH, LOAD, STORE, ADD, MUL, XOR, LESS, JUMP_IF, DROP, HALT };

static const int32_t program[] = {
    PUSH, 0, STORE, 0,                           // i = 0
    PUSH, 1, STORE, 1,                           // x = 1
    LOAD, 1, PUSH, 1664525, MUL, LOAD, 0, ADD,   // 8: x = x * 1664525 + i
    PUSH, 0x5a5a, XOR, STORE, 1,                 //    ^ 0x5a5a
    LOAD, 0, PUSH, 1, ADD, STORE, 0,             // i = i + 1
    LOAD, 0, PUSH, 16000000, LESS, JUMP_IF, 8,    // while i < 16000000
    HALT,
};

__attribute__((noinline)) static uint32_t interpret(const int32_t *code) {
  uint32_t stack[16], locals[4] = {0};
  int top = 0;
  for (int at = 0;;) {
    switch ((enum op)code[at++]) {
      case PUSH: stack[top++] = (uint32_t)code[at++]; break;
      case LOAD: stack[top++] = locals[code[at++]]; break;
      case STORE: locals[code[at++]] = stack[--top]; break;
      case ADD: top--; stack[top - 1] += stack[top]; break;
      case MUL: top--; stack[top - 1] *= stack[top]; break;
      case XOR: top--; stack[top - 1] ^= stack[top]; break;
      case LESS: top--; stack[top - 1] = stack[top - 1] < stack[top]; break;
      case JUMP_IF: at = stack[--top] ? code[at] : at + 1; break;
      case DROP: top--; break;
      case HALT: return locals[1];
    }
  }
}

int main(void) {
  printf("machine %08x\n", interpret(program));
  return 0;
}
