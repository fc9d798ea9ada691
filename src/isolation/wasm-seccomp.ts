import type { LinuxSyscall } from "./seccomp/profile.ts";
import { compileSeccomp } from "./seccomp.ts";
import { type Allowed, equals, masked } from "./wasm-allowed.ts";
import { type SocketUse, socketCalls, socketUses } from "./wasm-sockets.ts";

const CLONE_VM = 0x100;
const CLONE_SIGHAND = 0x800;
const CLONE_THREAD = 0x10000;
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, and PTRACE, VFORK, UNTRACED. */
const neverInClone = 0x7e020000 | 0x2000 | 0x4000 | 0x800000;
const MAP_LOCKED = 0x2000;
const MAP_HUGETLB = 0x40000;
const threadFlags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

function any(name: string, why: string, index: number, values: readonly number[]): Allowed[] {
  return values.map((value) => ({ why, names: [name], args: [equals(index, value)] }));
}

/**
 * What Node does after its start for a guest: found by strace of a forked Node that compiles, runs, serves and does file, timer
 * and worker work, and by reading libuv for what other kernels make it call.
 */
const base: readonly Allowed[] = [
  {
    why: "files of the grant, opened below its directories; which ones is for mounts, Landlock and the WASI host to say",
    names: [
      ...[
        "openat",
        "openat2",
        "open",
        "close",
        "close_range",
        "read",
        "readv",
        "pread64",
        "preadv",
        "preadv2",
      ],
      ...[
        "write",
        "writev",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "lseek",
        "ftruncate",
        "truncate",
        "fallocate",
        "fadvise64",
      ],
      ...[
        "fsync",
        "fdatasync",
        "sync_file_range",
        "fstat",
        "newfstatat",
        "stat",
        "lstat",
        "statx",
        "statfs",
        "fstatfs",
      ],
      ...[
        "access",
        "faccessat",
        "faccessat2",
        "readlink",
        "readlinkat",
        "getdents64",
        "getcwd",
        "copy_file_range",
        "sendfile",
      ],
      ...[
        "mkdir",
        "mkdirat",
        "rmdir",
        "unlink",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
      ],
      ...["symlink", "symlinkat", "utimensat", "umask", "dup", "dup2", "dup3"],
    ],
  },
  // No chmod: WASI has none, and stdio may be the machine's own /dev/null or FIFO, which belong to whoever is uid 0.
  // No leases and locks, which hold up the machine's own programs, no seals, and no signals upon what happens to a descriptor.
  ...any(
    "fcntl",
    "descriptor flags: F_GETFD, F_SETFD, F_GETFL, F_SETFL (libuv's O_NONBLOCK, WASI's fdflags), F_DUPFD_CLOEXEC",
    1,
    [1, 2, 3, 4, 1030],
  ),
  ...any(
    "ioctl",
    "is it a terminal, how large, how much is there to read, FIONBIO, FIOCLEX",
    1,
    [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451],
  ),
  {
    why: "memory: V8's heaps, code and guests' linear memories; the allocator's",
    names: [
      "munmap",
      "mremap",
      "mprotect",
      "madvise",
      "brk",
      "mincore",
      "pkey_alloc",
      "pkey_free",
      "pkey_mprotect",
    ],
  },
  {
    why: "memory, as above; huge pages are the machine's few, and locked ones never leave its memory",
    names: ["mmap"],
    args: [masked(3, MAP_LOCKED | MAP_HUGETLB, 0)],
  },
  {
    why: "the event loop, and blocking waits of the WASI host",
    names: [
      ...[
        "epoll_create",
        "epoll_create1",
        "epoll_ctl",
        "epoll_wait",
        "epoll_pwait",
        "epoll_pwait2",
        "poll",
        "ppoll",
      ],
      ...["select", "pselect6", "eventfd", "eventfd2", "pipe", "pipe2"],
      ...["timerfd_create", "timerfd_settime", "timerfd_gettime"],
    ],
  },
  {
    why: "time",
    names: ["clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times"],
  },
  {
    why: "threads: libuv's pool, worker_threads",
    names: [
      ...[
        "futex",
        "futex_waitv",
        "set_robust_list",
        "get_robust_list",
        "set_tid_address",
        "rseq",
        "membarrier",
        "gettid",
      ],
      ...["sched_yield", "sched_getaffinity", "getcpu", "exit", "exit_group", "restart_syscall"],
    ],
  },
  {
    why: "V8's mutexes (abseil) ask for their thread's priority, and write to stderr when they are refused",
    names: ["sched_getparam", "sched_getscheduler"],
  },
  {
    why: "a new thread, never a new process and never a new namespace",
    names: ["clone"],
    args: [masked(0, threadFlags | neverInClone, threadFlags)],
  },
  {
    why: "signals, which reach no further than the container's pid namespace",
    names: [
      ...[
        "rt_sigaction",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigtimedwait",
        "rt_sigpending",
        "rt_sigsuspend",
        "sigaltstack",
      ],
      ...["kill", "tgkill", "tkill"],
    ],
  },
  {
    why: "questions about oneself and the machine",
    names: [
      ...[
        "getpid",
        "getppid",
        "getuid",
        "geteuid",
        "getgid",
        "getegid",
        "getgroups",
        "getpgrp",
        "getpgid",
        "getsid",
      ],
      ...["getresuid", "getresgid", "capget", "uname", "sysinfo", "getrusage", "getpriority", "getrandom"],
    ],
  },
  { why: "limits can be read, not set", names: ["prlimit64"], args: [equals(2, 0)] },
  { why: "limits can be read", names: ["getrlimit"] },
  ...any(
    "prctl",
    "names of threads (15, 16) and of mappings (PR_SET_VMA); PR_GET_DUMPABLE",
    0,
    [3, 15, 16, 0x53564d41],
  ),
];

/** Asked for by libraries that know another way when the kernel is too old for it. clone3's flags are out of a filter's sight. */
const absent = ["clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"];

/**
 * Nothing in Node asks for these after its start. A process that does has been taken over by its guest, and the next attempt
 * might work: it dies at once, with SIGSYS (exit status 159).
 */
const lethal = [
  ...["execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"],
  ...[
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
  ],
  ...[
    "unshare",
    "setns",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "open_by_handle_at",
  ],
  ...[
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
  ],
  ...["iopl", "ioperm", "modify_ldt", "acct", "quotactl", "syslog"],
];

const ENOSYS = 38;

/** What becomes of system calls; those that are in no list fail with EPERM. */
export interface WasmCalls {
  readonly allowed: readonly Allowed[];
  /** Fail with ENOSYS, as does what is newer than all that is listed. */
  readonly absent: readonly string[];
  /** End the process. */
  readonly lethal: readonly string[];
}

/** The table that the filter is made of. */
export function wasmCalls(use: SocketUse): WasmCalls {
  return { allowed: [...base, ...socketCalls(use)], absent, lethal };
}

/**
 * The filter of a wasm process, as struct sock_filter[]: what is listed above, and what its use of sockets takes, passes; everything
 * else fails with EPERM, which Node reports as an error of the call and survives. Only the native architecture: 32-bit calls kill.
 *
 * libuv aborts when a ring it has is refused, so the process must not have one: io_uring_setup has to fail already where the
 * loop is made (native/zygote).
 */
export function wasmFilter(use: SocketUse): Buffer {
  const { allowed, absent, lethal } = wasmCalls(use);
  const syscalls: LinuxSyscall[] = allowed.map(({ names, args }) => ({
    names,
    action: "SCMP_ACT_ALLOW",
    ...(args === undefined ? {} : { args }),
  }));
  syscalls.push({ names: absent, action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS });
  syscalls.push({ names: lethal, action: "SCMP_ACT_KILL_PROCESS" });
  return compileSeccomp({ defaultAction: "SCMP_ACT_ERRNO", syscalls }, undefined).filter;
}

/** All of them, made ahead: which one a wasm process gets, its grant says. */
export function wasmFilters(): Readonly<Record<SocketUse, Buffer>> {
  const filters = socketUses.map((use) => [use, wasmFilter(use)] as const);
  return Object.fromEntries(filters) as Record<SocketUse, Buffer>;
}
