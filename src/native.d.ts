/**
 * Everything that the addon (native/addon) offers, on one page. Every function is synchronous unless it takes a callback.
 * A failed system call throws an Error whose `code` is the errno name ("ENOENT"), `errno` the positive number, `syscall` its
 * name, and whose message is `<syscall> <path>: <strerror>`. File descriptors are plain numbers, opened O_CLOEXEC, owned by
 * the caller.
 */
export interface Native {
  // --- process (addon/process.cc) -------------------------------------------------------------------------------------
  /** fork(2) and uv_loop_fork; returns 0 in the child. With newPid, the child is pid 1 of a new pid namespace; with pidNamespace, it is born into that one (descriptor of /proc/x/ns/pid). */
  fork(options: { readonly newPid?: boolean; readonly pidNamespace?: number }): { readonly pid: number; readonly pidfd: number };
  /** _exit(2): no handlers, no joining of threads that a forked child does not have. */
  exitNow(status: number): never;
  /** Minor page faults of this process so far (getrusage). */
  minorFaults(): number;
  /** waitid(P_PIDFD, WNOHANG): undefined while it runs. A killed process gives status 128 + signal. */
  waitPidfd(pidfd: number): { readonly pid: number; readonly status: number } | undefined;
  /** Reaps every dead child of this process that nobody waits for by pidfd. */
  reapChildren(): number;
  pidfdOpen(pid: number): number;
  pidfdSendSignal(pidfd: number, signal: number): void;
  /** Closes every descriptor from 3 on that is not in `keep` (close_range). */
  closeAllBut(keep: readonly number[]): void;
  setProcessName(name: string): void;
  setSubreaper(): void;

  // --- poll (addon/poll.cc): readiness of descriptors that libuv has no type for -------------------------------------
  /** Calls back each time the descriptor is readable or hung up, until the returned function is called. Does not own fd. */
  onReadable(fd: number, callback: () => void): () => void;

  // --- unix sockets (addon/unix_socket.cc) ----------------------------------------------------------------------------
  socketpair(): readonly [number, number];
  pipe(): readonly [number, number];
  /** sendmsg with descriptors, on a SEQPACKET socket. */
  sendMessage(fd: number, data: Uint8Array, fds: readonly number[]): void;
  /** recvmsg; blocks unless nonBlocking. An empty `data` means the peer is gone; undefined that there is nothing yet. */
  receiveMessage(fd: number, options: { readonly nonBlocking?: boolean; readonly timeoutMs?: number }): { readonly data: Buffer; readonly fds: readonly number[]; readonly peerPid: number } | undefined;
  connectSeqpacket(path: string): number;
  listenSeqpacket(path: string): number;
  /** Blocks in the kernel until a peer has sent its request; no JavaScript runs meanwhile. */
  acceptRequest(listenFd: number): { readonly fd: number; readonly data: Buffer; readonly fds: readonly number[]; readonly peerPid: number };

  // --- files and mounts (addon/mount.cc) ------------------------------------------------------------------------------
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  /** umount2(2); false when nothing was mounted there. */
  unmount(target: string, flags: number): boolean;
  /** First bytes of a file whose path is resolved inside root (openat2 RESOLVE_IN_ROOT); undefined when there is none. */
  readHeadInRoot(root: string, path: string, length: number): Buffer | undefined;
  openInRoot(root: string, path: string, flags: number): number;
  fifoPending(fd: number): number;
  /** TIOCSWINSZ on a terminal's master. */
  resizeTerminal(fd: number, width: number, height: number): void;
}
