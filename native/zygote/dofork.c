// Preloaded into the zygote: takes back two things that Node does for itself and that a forked child cannot
// live with.
//
// Node marks V8's pages MADV_DONTFORK, because it only ever forks to exec; a zygote's child goes on running
// JavaScript and would die of SIGSEGV at the first touch of its heap. The advice is dropped here, at its
// source: scanning /proc/self/smaps before each fork costs 1.3 ms and must be repeated after each growth of
// the heap.
//
// libuv makes an io_uring for every loop, also for the one that uv_loop_fork makes anew, and aborts when a
// ring that it has is refused later, as a wasm process's seccomp filter does. UV_USE_IO_URING=0 does not
// concern that ring. A kernel without io_uring is a case that libuv knows.
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))

#if defined(__x86_64__)
static long rawSyscall(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static long rawSyscall(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#endif

static long checkedSyscall(long number, long a, long b, long c, long d, long e, long f) {
  const long result = rawSyscall(number, a, b, c, d, e, f);
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

EXPORTED int madvise(void *address, size_t length, int advice) {
  if (advice == MADV_DONTFORK) return 0;
  return (int)checkedSyscall(SYS_madvise, (long)address, (long)length, advice, 0, 0, 0);
}

// Everything that is called through libc's generic wrapper passes here, in the zygote and in its children
// only.
EXPORTED long syscall(long number, ...) {
  if (number == SYS_io_uring_setup) {
    errno = ENOSYS;
    return -1;
  }
  va_list list;
  va_start(list, number);
  long arguments[6];
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
  va_end(list);
  return checkedSyscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                        arguments[5]);
}
