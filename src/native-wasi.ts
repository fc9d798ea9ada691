/**
 * How many bytes may be written yet, in the first element; below 0 afterwards: more was to be written, and only that many were.
 * undefined: any number.
 */
export type OutputLeft = BigInt64Array | undefined;

/**
 * The addon's WASI 0.1 (native/addon/wasi_*.cc). Unlike the functions of native-surface.ts these throw nothing: they return 0 or a
 * WASI errno. `memory` is a view of the guest's whole linear memory; pointers, lengths and `result` are offsets in it, checked
 * against its size. `mode` holds the guest's fdflags.
 */
export interface NativeWasi {
  wasiRead(
    memory: Uint8Array,
    fd: number,
    mode: number,
    iovecs: number,
    count: number,
    result: number,
  ): number;
  wasiWrite(
    memory: Uint8Array,
    fd: number,
    mode: number,
    iovecs: number,
    count: number,
    result: number,
    left: OutputLeft,
  ): number;
  wasiReadAt(
    memory: Uint8Array,
    fd: number,
    iovecs: number,
    count: number,
    offset: bigint,
    result: number,
  ): number;
  wasiWriteAt(
    memory: Uint8Array,
    fd: number,
    mode: number,
    iovecs: number,
    count: number,
    offset: bigint,
    result: number,
    left: OutputLeft,
  ): number;
  /** lseek(2); whence is Linux's. */
  wasiSeek(memory: Uint8Array, fd: number, offset: bigint, whence: number, result: number): number;
  wasiReceive(
    memory: Uint8Array,
    fd: number,
    mode: number,
    iovecs: number,
    count: number,
    flags: number,
    result: number,
    resultFlags: number,
  ): number;
  wasiSend(
    memory: Uint8Array,
    fd: number,
    mode: number,
    iovecs: number,
    count: number,
    result: number,
    left: OutputLeft,
  ): number;
  wasiShutdown(fd: number, how: number): number;
  /** out: [fd] */
  wasiAccept(fd: number, mode: number, out: Int32Array): number;
  wasiClock(memory: Uint8Array, id: number, result: number): number;
  wasiClockResolution(memory: Uint8Array, id: number, result: number): number;
  wasiRandom(memory: Uint8Array, buffer: number, length: number): number;
  wasiYield(): number;
  /** poll_oneoff; fds[i] belongs to subscription i and is a negative Linux errno where the guest has no such descriptor. */
  wasiPoll(
    memory: Uint8Array,
    subscriptions: number,
    events: number,
    count: number,
    unstable: number,
    fds: Int32Array,
    result: number,
  ): number;
  /** out: [WASI file type, access (1 reading, 2 writing), whether a terminal, WASI fdflags] */
  wasiKind(fd: number, out: Int32Array): number;
  wasiSetAppend(fd: number, on: number): number;
  /** close(2); 0, 1 and 2 stay taken by a descriptor that can do nothing. */
  wasiClose(fd: number): number;
  wasiStat(memory: Uint8Array, fd: number, result: number, unstable: number): number;
  wasiSetTimes(fd: number, atime: bigint, mtime: bigint, flags: number): number;
  wasiSetSize(fd: number, size: bigint): number;
  wasiAllocate(fd: number, offset: bigint, length: bigint): number;
  wasiAdvise(fd: number, offset: bigint, length: bigint, advice: number): number;
  wasiSync(fd: number, dataOnly: number): number;
  wasiReadDirectory(
    memory: Uint8Array,
    fd: number,
    buffer: number,
    length: number,
    cookie: bigint,
    result: number,
  ): number;
  /** openat2(2) beneath `directory`; flags are listed in addon/wasi_path.cc; out: [fd, WASI file type] */
  wasiOpen(
    memory: Uint8Array,
    directory: number,
    path: number,
    length: number,
    flags: number,
    out: Int32Array,
  ): number;
  wasiPathStat(
    memory: Uint8Array,
    directory: number,
    follow: number,
    path: number,
    length: number,
    result: number,
    unstable: number,
  ): number;
  wasiPathSetTimes(
    memory: Uint8Array,
    directory: number,
    follow: number,
    path: number,
    length: number,
    atime: bigint,
    mtime: bigint,
    flags: number,
  ): number;
  wasiPathMakeDirectory(memory: Uint8Array, directory: number, path: number, length: number): number;
  wasiPathRemove(
    memory: Uint8Array,
    directory: number,
    path: number,
    length: number,
    isDirectory: number,
  ): number;
  wasiPathReadLink(
    memory: Uint8Array,
    directory: number,
    path: number,
    length: number,
    buffer: number,
    size: number,
    result: number,
  ): number;
  wasiPathSymlink(
    memory: Uint8Array,
    contents: number,
    contentsLength: number,
    directory: number,
    path: number,
    length: number,
  ): number;
  wasiPathLink(
    memory: Uint8Array,
    from: number,
    path: number,
    length: number,
    to: number,
    toPath: number,
    toLength: number,
  ): number;
  wasiPathRename(
    memory: Uint8Array,
    from: number,
    path: number,
    length: number,
    to: number,
    toPath: number,
    toLength: number,
  ): number;
}
