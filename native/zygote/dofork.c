// Preloaded into the zygote. Node marks V8's pages MADV_DONTFORK, because it only ever forks to exec; a zygote's child goes
// on running JavaScript and would die of SIGSEGV at the first touch of its heap. The advice is dropped here, at its source:
// scanning /proc/self/smaps before each fork costs 1.3 ms and must be repeated after each growth of the heap.
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) int madvise(void *addr, size_t length, int advice) {
  if (advice == MADV_DONTFORK) return 0;
  return (int)syscall(SYS_madvise, addr, length, advice);
}
