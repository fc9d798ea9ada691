#pragma once

#include <cstdint>

// The steps of a plan and the dialogue around them. Twin of src/isolation/steps.ts and
// src/executor/init-protocol.ts: a number changed here is changed there.
//
//   shim                                        container-init (exec of a sealed memfd, in its new
//   namespaces)
//   ----                                        -------------------------------------------------------------
//   spawnInit: clone3 and execveat       ──▶    reads its socket, descriptor 3
//                                        ◀──    mappable       (only for a maker who is not root)
//   cgroup, oom_score_adj, uid/gid maps
//   plan, descriptors: memfd, sources…   ──▶    performs step after step
//   prestart, createRuntime hooks        ◀──    runtimeHooks   (only when there are any)
//   proceed                              ──▶
//   task is created                      ◀──    created, descriptor: the terminal's master if there is one
//   start                                ──▶    startContainer hooks, seccomp, execve
//     (of the command line, whose `start` is another process than its `create`, by a new connection to the
//     socket that came with the plan)
//   seccomp agent gets the descriptor    ◀──    listener       (only with SCMP_ACT_NOTIFY)
//   proceed                              ──▶
//   task is running                      ◀──    end of file: execve closed the socket
//                                        ◀──    failed: errno and text, at any point; the process ends after
//                                        it
namespace tandem {

// Descriptor of the dialogue: 3, or behind those that are preserved for the program.
extern int shimSocket;

enum class ToInit : uint8_t { plan = 1, proceed = 2, start = 3 };

enum class ToShim : uint8_t { runtimeHooks = 1, created = 2, listener = 3, failed = 4, mappable = 5 };

// One per function of stages.h, in the order in which a plan usually has them. Encoding of a step: u32 op,
// u32 length of the rest, the property of config.json it stands for (string), then its fields. u32 and u64
// are little-endian, a string is u32 length, bytes, NUL; a list is u32 count and its strings; bytes are u32
// length and the bytes.
enum class Op : uint32_t {
  becomeRoot = 1,
  newTime = 2,
  joinTime = 3,
  unshare = 4,
  session = 5,
  keyring = 6,
  propagation = 7,
  rootfs = 8,
  mount = 9,
  bind = 10,
  symlink = 11,
  mknod = 12,
  sysctl = 13,
  hostname = 14,
  domainname = 15,
  loopback = 16,
  runtimeHooks = 17,
  hook = 18,
  root = 19,
  attributes = 20,
  mask = 21,
  console = 22,
  rlimit = 23,
  personality = 24,
  scheduler = 25,
  ioPriority = 26,
  affinity = 27,
  umask = 28,
  label = 29,
  stdioOwner = 30,
  bounding = 31,
  user = 32,
  capabilities = 33,
  noNewPrivileges = 34,
  seccomp = 35,
  cwd = 36,
  lookup = 37,
  created = 38,
  exec = 39,
  memoryPolicy = 40,
  enterRoot = 41,
  unmount = 42,
  slave = 43,
};

// How the rootfs becomes the root.
enum class Root : uint32_t { pivot = 0, move = 1, chroot = 2 };

}  // namespace tandem
