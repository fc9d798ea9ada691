/**
 * Everything that the addon (native/addon) offers, on one page; WASI 0.1 is on another (native-wasi.ts). Every function is
 * synchronous unless it takes a callback. A failed system call throws an Error whose `code` is the errno name ("ENOENT"),
 * `errno` the positive number, `syscall` its name, and whose message is `<syscall> <path>: <strerror>`. File descriptors are
 * plain numbers, opened O_CLOEXEC, owned by the caller.
 */
import type { NativeSocketSets, NativeSockets } from "./native-sockets.ts";
import type { NativeWasi } from "./native-wasi.ts";

/** A request as the zygote accepts it. The receiver owns every descriptor in it. */
export interface ZygoteMessage {
  /** The connection, for the reply. */
  readonly fd: number;
  readonly data: Buffer;
  readonly fds: readonly number[];
  /** 0 when the sender is gone: nobody knows any more what it was allowed, so nothing is done for it. */
  readonly peerPid: number;
  /** The same process, whoever has its number later; only for who asked for it. */
  readonly peerPidfd?: number;
  /** Why it could not be looked at, while it is there: then the message was not read, and `peerPid` is 0. */
  readonly peerError?: string;
}

export interface Native extends NativeWasi, NativeSockets, NativeSocketSets {
  // --- process (addon/process.cc) -------------------------------------------------------------------------------------
  /** fork(2) and uv_loop_fork; returns 0 in the child. With newPid, the child is pid 1 of a new pid namespace; with pidNamespace, it is born into that one (descriptor of /proc/x/ns/pid). */
  fork(options: { readonly newPid?: boolean; readonly pidNamespace?: number }): {
    readonly pid: number;
    readonly pidfd: number;
  };
  /** _exit(2): no handlers, no joining of threads that a forked child does not have. */
  exitNow(status: number): never;
  /** Minor page faults of this process so far (getrusage). */
  minorFaults(): number;
  /** waitid(P_PIDFD, WNOHANG): undefined while it runs. A killed process gives status 128 + signal. */
  waitPidfd(pidfd: number): { readonly pid: number; readonly status: number } | undefined;
  /** Lets the kernel reap every child of this process (SIGCHLD ignored); undone in forked children. */
  autoReap(): void;
  /** Blocks until no child of this process is left, and lets the kernel reap them (autoReap). */
  waitForChildren(): void;
  /** Reaps one re-parented process by its pid; true when it was dead and is gone now. */
  reapOrphan(pid: number): boolean;
  /** Pid of a child that has ended and that nobody has reaped, left as it is; undefined when there is none. */
  peekDeadChild(): number | undefined;
  pidfdOpen(pid: number): number;
  /** The signal that ended a process which is dead, 0 when none did; undefined where the kernel does not tell (before Linux 6.15). */
  pidfdEndingSignal(pidfd: number): number | undefined;
  pidfdSendSignal(pidfd: number, signal: number): void;
  close(fd: number): void;
  /** dup2(from, to). */
  replaceFd(from: number, to: number): void;
  /** getpid(2): process.pid is the zygote's in a forked child. */
  getpid(): number;
  /** On a deadly signal n: writes `{"exit":128+n}` and a newline to the descriptor and leaves with 128+n. */
  exitOnSignal(statusFd: number): void;
  /** When the calling thread of JavaScript ends, the process does, with 125, told to the status pipe unless that is -1. */
  exitWithThread(statusPipe: number): void;
  setProcessName(name: string): void;
  /**
   * Limits of time (addon/deadline.cc): after so long by the monotonic clock, or at so much processor time of the process, a thread of the
   * kernel's writes the line to stderr and `{"exit":status}` to the status pipe, unless that is -1, and leaves with the status.
   */
  endAfter(deadline: ProcessDeadline): void;
  /** Name, session, child subreaper, SIGTERM, SIGINT and SIGHUP ignored, working directory `/`. */
  enterShim(name: string): void;
  setSession(): void;
  /** SIGKILL when the thread that forked this process ends. */
  dieWithParent(): void;
  /** Makes the C heap's free memory one piece, so that forked children dirty few pages. For a zygote, before its first fork. */
  fillHeapHoles(): void;

  // --- pages (addon/pages.cc) -----------------------------------------------------------------------------------------
  /** The pages that this forked process has written to or read from files since its birth; opaque, for populatePages. */
  ownPages(): Buffer;
  /** Those in both of two lists from ownPages. */
  commonPages(left: Buffer, right: Buffer): Buffer;
  /** Gets the same pages in a sibling, in batches and ahead of need. */
  populatePages(pages: Buffer): void;

  // --- descriptors (addon/descriptors.cc) -------------------------------------------------------------------------------
  /** Has the zygote look once which of its descriptors are the runtime's own, for `isolate` in its children. */
  noteDescriptors(): void;

  // --- poll (addon/poll.cc): readiness of descriptors that libuv has no type for -------------------------------------
  /** Calls back each time the descriptor is readable or hung up, until the returned function is called. Does not own fd. */
  onReadable(fd: number, callback: () => void): () => void;
  /** Blocks until the descriptor is readable or hung up; false after the timeout. */
  waitReadable(fd: number, timeoutMs: number): boolean;

  // --- waiting of guests (addon/readiness.cc) ---------------------------------------------------------------------------
  /**
   * ppoll(2): `list` holds `count` pairs [fd, events], events being 1 (readable) and 2 (writable); in their place comes what is ready,
   * for which an error or a lost peer counts too. Returns how many are: 0 after `timeoutNs` (below 0: never) or a signal.
   */
  pollAll(list: Int32Array, count: number, timeoutNs: number): number;
  /** Calls back once, from the event loop, when one of the events is there; keeps the loop alive until then. Any number may wait for one fd. */
  whenReady(fd: number, events: number, callback: () => void): number;
  /** What whenReady returned will not call back; nothing happens if it already has. */
  stopWaiting(token: number): void;

  // --- calls of guests (addon/guest_call.cc) ------------------------------------------------------------------------------
  /** Who has the thread, in one element: 0 the host, 1 a guest, 2 a guest that is being ended. The host changes it with Atomics. */
  guestTurn(): Int32Array;
  /**
   * Calls `fn`, and what promises do that it settles, as a guest's, until `deadlineMs` of the monotonic clock; whether it was ended. What it
   * throws is thrown. Not from within what a promise does.
   */
  runGuest(fn: () => void, deadlineMs: number): boolean;
  /** Returns once what runs is about to be ended. */
  awaitEnding(): void;

  // --- images of guests' memories (addon/memory_image.cc) --------------------------------------------------------------
  /** A copy of a memory at the end of a memfd, which nobody may change or close as long as the image is used. */
  createMemoryImage(memfd: number, memory: ArrayBuffer): MemoryImage;
  /** Has the memory share the image's pages; false when it does not hold the same bytes. */
  adoptMemoryImage(image: MemoryImage, memory: ArrayBuffer): boolean;
  /** Puts a memory back that shares the image. EINVAL when it has grown. */
  restoreMemory(image: MemoryImage, memory: ArrayBuffer): void;

  // --- unix sockets (addon/unix_socket.cc) ----------------------------------------------------------------------------
  socketpair(): readonly [number, number];
  pipe(): readonly [number, number];
  /** A memfd holding these bytes. */
  memfd(name: string, data: Uint8Array): number;
  /** sendmsg with descriptors, on a SEQPACKET socket. */
  sendMessage(fd: number, data: Uint8Array, fds: readonly number[]): void;
  /** recvmsg; blocks unless nonBlocking. An empty `data` means the peer is gone; undefined that there is nothing yet. */
  receiveMessage(
    fd: number,
    options: { readonly nonBlocking?: boolean; readonly timeoutMs?: number },
  ): { readonly data: Buffer; readonly fds: readonly number[] } | undefined;
  connectSeqpacket(path: string): number;
  connectStream(path: string): number;
  /** Binds with mode 0600 and listens; EADDRINUSE when the path exists. */
  listenSeqpacket(path: string): number;
  listenStream(path: string): number;
  /**
   * Blocks in the kernel until a peer of our own uid has sent its request; no JavaScript runs meanwhile.
   * undefined after `timeoutMs` without one.
   */
  acceptRequest(
    listenFd: number,
    timeoutMs?: number,
    options?: { readonly peerPidfd: boolean },
  ): ZygoteMessage | undefined;

  // --- files as memory and as locks (addon/file.cc) ---------------------------------------------------------------------
  /** The whole file, read-only, its pages in memory. Whoever writes to the buffer dies of it. To be given back by unmapFile. */
  mapFile(fd: number): ArrayBuffer;
  /** The buffer is empty afterwards. */
  unmapFile(buffer: ArrayBuffer): void;
  /** flock(2), exclusive: false when another has it and `wait` is not set. */
  lockFile(fd: number, options: { readonly wait: boolean }): boolean;

  // --- files and mounts (addon/mount.cc) ------------------------------------------------------------------------------
  mount(source: string, target: string, type: string, flags: number, data: string): void;
  /** umount2(2); false when nothing was mounted there. */
  unmount(target: string, flags: number): boolean;
  /** First bytes of a file whose path is resolved inside root (openat2 RESOLVE_IN_ROOT); undefined when there is none. */
  readHeadInRoot(root: string, path: string, length: number): Buffer | undefined;
  /** st_mode (inode(7)) of what is at a path, resolved the same way; undefined when there is nothing. */
  modeInRoot(root: string, path: string): number | undefined;
  /** Opens a regular file for reading, resolved the same way; EINVAL for another kind of file. */
  openInRoot(root: string, path: string): number;
  /** An O_PATH descriptor of a directory, resolved the same way; what is missing of the path is made. */
  makeDirectoryInRoot(root: string, path: string): number;
  makeFifo(path: string): void;
  /** Bytes that are in a FIFO and nobody has read (FIONREAD). */
  fifoPending(fd: number): number;
  /** TIOCSWINSZ on a terminal's master. */
  resizeTerminal(fd: number, width: number, height: number): void;
  /** TIOCGPTPEER: the slave of a terminal's master. */
  openTerminalPeer(fd: number): number;

  // --- cgroups (addon/cgroup.cc) ----------------------------------------------------------------------------------------
  /**
   * mkdir of every directory and its missing parents; `cpuset` names the one of the v1 cpuset hierarchy ("" for none), which gets
   * its parent's cpus and memory nodes. Returns those that existed. On failure, what it made is gone again.
   */
  makeCgroups(directories: readonly string[], cpuset: string): readonly string[];
  /** rmdir of every directory; returns those that are still in use. One that does not exist is no error. */
  removeCgroups(directories: readonly string[]): readonly string[];
  /** [path, data, path, data, …], one write(2) each; stops at the first failure. */
  writeFiles(pairs: readonly string[]): void;
  /** cgroup v1: an eventfd that becomes readable whenever the memory cgroup runs out of memory, and when it is removed. */
  oomEventFd(directory: string): number;
  /** Loads a BPF_PROG_TYPE_CGROUP_DEVICE program (struct bpf_insn[]) and puts it in the place of the directory's own earlier ones. */
  attachDeviceProgram(directory: string, program: Uint8Array): void;

  // --- seccomp (addon/seccomp.cc) ---------------------------------------------------------------------------------------
  /** struct sock_filter[] made by libseccomp. */
  compileSeccomp(rules: SeccompRules): Buffer;
  /** Largest number that one of the names has on an architecture (libseccomp's token); undefined when it has none of them. */
  largestSyscall(names: readonly string[], architecture: number): number | undefined;
  /** libseccomp's token of the architecture that this process runs on. */
  nativeSeccompArchitecture(): number;

  // --- network devices (addon/net_device.cc) ----------------------------------------------------------------------------
  /**
   * Moves a device from one network namespace (a descriptor) into another, with its permanent addresses of global scope, and
   * raises it if `up`. `newName` may have a `%d`. Returns the name that it has there. On failure the device is where and what
   * it was.
   */
  moveNetDevice(
    from: number,
    to: number,
    name: string,
    newName: string,
    up: boolean,
  ): { readonly name: string; readonly wasUp: boolean };

  // --- container-init (addon/spawn.cc) ----------------------------------------------------------------------------------
  /** A sealed copy of an executable in memory, for spawnInit. */
  sealExecutable(path: string): number;
  /** Starts a sealed executable in namespaces of its own, without fork's copy of this process. Returns once it is exec'ed. */
  spawnInit(options: SpawnOptions): { readonly pid: number; readonly pidfd: number };
  /** Connects to a seccomp agent's stream socket and sends data and one descriptor. */
  sendListener(path: string, data: Uint8Array, fd: number): void;
  /** prlimit(2). */
  setResourceLimit(pid: number, resource: number, soft: bigint, hard: bigint): void;
  /** A detached copy of a mount as it is, owners mapped through a user namespace's descriptor if given. */
  openMountSource(
    path: string,
    options: {
      readonly recursive: boolean;
      /** MS_SLAVE or MS_PRIVATE for all of it; 0: mounts made in one appear in the other. */
      readonly propagation: number;
      readonly userNamespace: number | undefined;
      readonly idmapRecursive: boolean;
    },
  ): number;

  /** A detached mount of a new file system; options as mount(8) spells them. Owners as in `openMountSource`. */
  createMount(
    type: string,
    source: string,
    options: readonly string[],
    userNamespace: number | undefined,
  ): number;

  // --- user namespaces (addon/user_namespace.cc): for a forked child with one thread -------------------------------------
  /** A user namespace in which this process has every capability; uid and gid stay, supplementary groups cannot be changed. */
  enterUserNamespace(): void;
  /** A mount namespace of its own, with a copy of every mount. */
  copyMounts(): void;

  // --- isolation of a wasm process (addon/isolate.cc): for a forked child with one thread --------------------------------
  /** A detached copy of what is mounted at path: nodev, nosuid, noexec, private. */
  cloneMount(path: string, options: { readonly recursive: boolean; readonly readonly: boolean }): number;
  /** A detached tmpfs; options as mount(8) spells them ("size=64m", "mode=1777"). */
  createTmpfs(options: readonly string[], readonly: boolean): number;
  /** A mount namespace with nothing but an empty read-only root. `scratch` is any directory to mount on meanwhile. */
  createEmptyMountNamespace(scratch: string): number;
  /** Puts this process behind the wall, for good. Closes all descriptors but `keepDescriptors`; returns one of the file system's root. */
  isolate(options: IsolateOptions): { readonly root: number; readonly landlock: boolean };

  // --- wasm modules (addon/wasm_scan.cc) ----------------------------------------------------------------------------------
  /**
   * Looks through a module that V8 has found valid: what is in it, and which functions one call may keep busy for long (native/wasm/scan.h),
   * no more than `budget` bytes of them. With a budget of 0 functions are not looked at. undefined when a section is not understood.
   */
  scanModule(bytes: Uint8Array, budget: number): ModuleScan | undefined;
}

export interface ProcessDeadline {
  readonly clock: "monotonic" | "processor";
  readonly milliseconds: number;
  readonly line: string;
  readonly status: number;
  readonly statusPipe: number;
}

export interface ModuleScan {
  /** Functions that it imports, and functions that it has itself. */
  readonly imports: number;
  readonly functions: number;
  /** Of its code section. */
  readonly codeBytes: number;
  /** Indices of own functions, without the imports. */
  readonly chosen: Uint32Array;
}

export interface SpawnOptions {
  /** From sealExecutable. */
  readonly executable: number;
  /** Become 0, 1 and 2. */
  readonly stdio: readonly [number, number, number];
  /** Becomes 3. */
  readonly socket: number;
  /** cgroup v1 `tasks` files that it joins by itself, before anything else. */
  readonly cgroupFiles: readonly string[];
  /** cgroup v2 directory that it is born into. */
  readonly cgroupDirectory: number | undefined;
  /** CLONE_NEW* flags. */
  readonly newNamespaces: number;
  /** Namespaces to enter: descriptor and CLONE_NEW* flag of its type. */
  readonly joinNamespaces: readonly { readonly fd: number; readonly type: number }[];
}

/** Opaque: an image goes with the last reference to it. */
export interface MemoryImage {
  readonly _image: never;
}

/** Everything that a wasm process gives up, and what it keeps. */
export interface IsolateOptions {
  /** Files to write "0" into, to join cgroups. */
  readonly cgroupFiles: readonly string[];
  /** Its parent's when undefined. */
  readonly oomScoreAdj: number | undefined;
  /** [resource number, soft, hard] */
  readonly rlimits: readonly (readonly [number, bigint, bigint])[];
  /** Descriptors of namespaces to enter. */
  readonly joinNamespaces: readonly number[];
  readonly emptyMountNamespace: number;
  /** CLONE_NEW* flags of the namespaces to be made; the mount namespace always is. */
  readonly unshare: number;
  readonly hostname: string | undefined;
  /** The file system; targets are resolved inside it, and it is empty but for directories `/0` to `/63` unless one of them is `/`. */
  readonly mounts: readonly {
    readonly fd: number;
    readonly target: string;
    readonly directory: boolean;
    /** Read-only once the places of what is mounted on it are made. */
    readonly seal?: boolean;
  }[];
  readonly umask: number;
  /** Uid and groups stay when undefined. */
  readonly user:
    | { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
    | undefined;
  /** Besides 0, 1, 2 and the event loop's own: every other descriptor is closed, those in this object included. */
  readonly keepDescriptors: readonly number[];
  /** struct sock_filter[] */
  readonly filter: Buffer | undefined;
  readonly tcpPorts: TcpPorts;
}

/** Ports that Landlock lets a process use, from Linux 6.7 on; every port when undefined. Port 0 is one that the kernel picks. */
export interface TcpPorts {
  readonly bind: readonly number[] | undefined;
  readonly connect: readonly number[] | undefined;
}

/** What `compileSeccomp` takes: a profile whose names of actions, operators and architectures are numbers already. */
export interface SeccompRules {
  /** SCMP_ACT_* word. */
  readonly defaultAction: number;
  /** libseccomp's architecture tokens besides the native one. */
  readonly architectures: readonly number[];
  readonly rules: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly name: string;
  readonly action: number;
  /** All must hold. */
  readonly args: readonly {
    readonly index: number;
    /** enum scmp_compare */
    readonly op: number;
    readonly value: bigint;
    readonly valueTwo: bigint;
  }[];
}
