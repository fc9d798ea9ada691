import type { BigIntStats } from "node:fs";

/**
 * What the file system of a component is made of: operations below a directory's descriptor that cannot leave it, whatever
 * another process does to the tree meanwhile (openat2 RESOLVE_BENEATH). A failure is an Error whose `code` is the errno name.
 */
export interface Files {
  /** `flags` are open(2)'s; O_NOFOLLOW among them when the last name must not be a link. */
  openAt(directory: number, path: string, flags: number): number;
  statAt(directory: number, path: string, follow: boolean): BigIntStats;
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
  EXDEV: "not-permitted", // what openat2 says of a path that leaves the tree
};
