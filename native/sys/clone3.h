#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace tandem {

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

constexpr size_t cloneStackSize = 65536;

// clone3 with a stack of its own for the child, which calls `run` on it and never returns. clone(2)'s wrapper
// in glibc does the same for the old call; clone3 has none. `cgroup` is a directory of the v2 hierarchy, for
// CLONE_INTO_CGROUP.
inline pid_t cloneOnto(uint64_t flags, int cgroup, int* pidfd, void (*run)(void*), void* argument,
                       char* stack) {
  struct {
    uint64_t flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls, setTid, setTidSize, cgroup;
  } args{};
  args.flags = flags;
  args.pidfd = reinterpret_cast<uint64_t>(pidfd);
  // CLONE_PARENT inherits the signal of the one who is left out.
  args.exitSignal = (flags & CLONE_PARENT) != 0 ? 0 : SIGCHLD;
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stackSize = cloneStackSize;
  if ((flags & CLONE_INTO_CGROUP) != 0) args.cgroup = static_cast<uint64_t>(cgroup);
#if defined(__x86_64__)
  long result;
  register void (*function)(void*) __asm__("r12") = run;
  register void* passed __asm__("r13") = argument;
  __asm__ volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r13, %%rdi\n\t"
      "callq *%%r12\n\t"
      "hlt\n\t"
      "1:\n\t"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(&args), "S"(sizeof args), "r"(function), "r"(passed)
      : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long result __asm__("x0") = reinterpret_cast<long>(&args);
  register long size __asm__("x1") = sizeof args;
  register long number __asm__("x8") = SYS_clone3;
  register void (*function)(void*) __asm__("x19") = run;
  register void* passed __asm__("x20") = argument;
  __asm__ volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x20\n\t"
      "blr x19\n\t"
      "brk #0\n\t"
      "1:\n\t"
      : "+r"(result)
      : "r"(size), "r"(number), "r"(function), "r"(passed)
      : "memory");
#endif
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return static_cast<pid_t>(result);
}

}  // namespace tandem
