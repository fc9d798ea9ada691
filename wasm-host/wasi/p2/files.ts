import { type BigIntStats, fstatSync } from "node:fs";

/**
 * What the file system of a component is made of: operations below a directory's descriptor that cannot leave it, whatever
 * another process does to the tree meanwhile (openat2 RESOLVE_BENEATH). A failure is an Error whose `code` is the errno name.
 */
export interface Files {
  openAt(directory: number, path: string, how: OpenHow): number;
  close(fd: number): void;
  statAt(directory: number, path: string, follow: boolean): FileStat;
  setTimesAt(directory: number, path: string, follow: boolean, times: FileTimes): void;
  createDirectoryAt(directory: number, path: string): void;
  readlinkAt(directory: number, path: string): string;
  unlinkAt(directory: number, path: string): void;
  removeDirectoryAt(directory: number, path: string): void;
  renameAt(from: number, oldPath: string, to: number, newPath: string): void;
  linkAt(from: number, oldPath: string, to: number, newPath: string): void;
  symlinkAt(target: string, directory: number, path: string): void;
  /** Names and types, without `.` and `..`. */
  readDirectory(directory: number): readonly { readonly name: string; readonly type: FileType }[];
  setTimes(fd: number, times: FileTimes): void;
  /** A file's size in bytes; ones that are new are zero. */
  setSize(fd: number, size: bigint): void;
  /** Waits until the disk has it: everything, or no more of the metadata than the data needs. */
  sync(fd: number, what: "all" | "data"): void;
  /** posix_fadvise(2) */
  advise(fd: number, range: { readonly offset: bigint; readonly length: bigint }, advice: Advice): void;
}

/** In the order of WASI 0.1. */
export const advices = ["normal", "sequential", "random", "will-need", "dont-need", "no-reuse"] as const;
export type Advice = (typeof advices)[number];

/** How a file is opened. Without `follow` the last name must not be a link. */
export interface OpenHow {
  readonly read: boolean;
  readonly write: boolean;
  readonly follow: boolean;
  readonly create: boolean;
  readonly directory: boolean;
  readonly exclusive: boolean;
  readonly truncate: boolean;
  /** O_DSYNC and O_SYNC. */
  readonly syncData: boolean;
  readonly sync: boolean;
}

/** Times are nanoseconds since the epoch, negative before it. */
export interface FileStat {
  readonly device: bigint;
  readonly inode: bigint;
  readonly type: FileType;
  readonly links: bigint;
  readonly size: bigint;
  readonly accessed: bigint;
  readonly modified: bigint;
  readonly changed: bigint;
}

/** Nanoseconds since the epoch, `now`, or undefined to leave it as it is. */
export interface FileTimes {
  readonly accessed: bigint | "now" | undefined;
  readonly modified: bigint | "now" | undefined;
}

export type FileType =
  | "unknown"
  | "block-device"
  | "character-device"
  | "directory"
  | "fifo"
  | "symbolic-link"
  | "regular-file"
  | "socket";

/** Name of the errno that `error` carries, as wasi:filesystem's error-code; a bug of ours is thrown on. */
export function errorCodeOf(error: unknown): string {
  const errno = error instanceof Error && "code" in error ? error.code : undefined;
  const code = typeof errno === "string" ? errorCodes[errno] : undefined;
  if (code === undefined && !(typeof errno === "string" && /^E[A-Z0-9]+$/.test(errno))) throw error;
  return code ?? "io";
}

const errorCodes: Readonly<Record<string, string>> = {
  EACCES: "access",
  EAGAIN: "would-block",
  EALREADY: "already",
  EBADF: "bad-descriptor",
  EBUSY: "busy",
  EDEADLK: "deadlock",
  EDQUOT: "quota",
  EEXIST: "exist",
  EFBIG: "file-too-large",
  EILSEQ: "illegal-byte-sequence",
  EINPROGRESS: "in-progress",
  EINTR: "interrupted",
  EINVAL: "invalid",
  EIO: "io",
  EISDIR: "is-directory",
  ELOOP: "loop",
  EMLINK: "too-many-links",
  EMSGSIZE: "message-size",
  ENAMETOOLONG: "name-too-long",
  ENODEV: "no-device",
  ENOENT: "no-entry",
  ENOLCK: "no-lock",
  ENOMEM: "insufficient-memory",
  ENOSPC: "insufficient-space",
  ENOTDIR: "not-directory",
  ENOTEMPTY: "not-empty",
  ENOTRECOVERABLE: "not-recoverable",
  ENOTSUP: "unsupported",
  EOPNOTSUPP: "unsupported",
  ENOSYS: "unsupported",
  ENOTTY: "no-tty",
  ENXIO: "no-such-device",
  EOVERFLOW: "overflow",
  EPERM: "not-permitted",
  EPIPE: "pipe",
  EROFS: "read-only",
  ESPIPE: "invalid-seek",
  ETXTBSY: "text-file-busy",
  EXDEV: "cross-device",
};

/** fstat(2) */
export function statDescriptor(fd: number): FileStat {
  const stat = fstatSync(fd, { bigint: true });
  return {
    device: stat.dev,
    inode: stat.ino,
    type: fileTypeOf(stat),
    links: stat.nlink,
    size: stat.size,
    accessed: stat.atimeNs,
    modified: stat.mtimeNs,
    changed: stat.ctimeNs,
  };
}

function fileTypeOf(stat: BigIntStats): FileType {
  if (stat.isFile()) return "regular-file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symbolic-link";
  if (stat.isCharacterDevice()) return "character-device";
  if (stat.isBlockDevice()) return "block-device";
  if (stat.isFIFO()) return "fifo";
  return stat.isSocket() ? "socket" : "unknown";
}
