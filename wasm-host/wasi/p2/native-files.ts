import { native } from "../../../src/native.ts";
import { usage } from "../../limits/usage.ts";
import { advices, type FileStat, type Files, type FileTimes, type FileType, type OpenHow } from "./files.ts";

/** Where things lie in the scratch: two paths, then a result. PATH_MAX is 4096; the addon refuses what is longer. */
const pathRoom = 8192;
const [firstPath, secondPath, resultAt, bufferAt] = [0, pathRoom, 2 * pathRoom, 2 * pathRoom + 64];
const bufferSize = 32_768;

const fileTypes: readonly FileType[] = [
  "unknown",
  "block-device",
  "character-device",
  "directory",
  "regular-file",
  "socket",
  "socket",
  "symbolic-link",
];

/**
 * Files over the addon's calls (native/addon/wasi_*.cc). They were made for WASI 0.1: paths and results are in a memory, here a
 * scratch of our own, and the answer is 0 or an errno of WASI 0.1.
 */
export function createNativeFiles(): Files {
  const memory = new Uint8Array(bufferAt + bufferSize);
  const view = new DataView(memory.buffer);
  const put = (path: string, at = firstPath): number => {
    const bytes = Buffer.from(path);
    if (bytes.length >= pathRoom) throw failure(37);
    memory.set(bytes, at);
    return bytes.length;
  };
  return {
    openAt(directory, path, how) {
      const out = new Int32Array(2);
      const length = put(path);
      usage.open();
      const errno = native.wasiOpen(memory, directory, firstPath, length, openBits(how), out);
      if (errno !== 0) usage.closed();
      check(errno);
      return out[0] ?? -1;
    },
    close(fd) {
      usage.closed();
      native.close(fd);
    },
    statAt(directory, path, follow) {
      check(native.wasiPathStat(memory, directory, Number(follow), firstPath, put(path), resultAt, 0));
      return readStat(view);
    },
    setTimesAt(directory, path, follow, times) {
      const { accessed, modified, flags } = timeArguments(times);
      check(
        native.wasiPathSetTimes(
          memory,
          directory,
          Number(follow),
          firstPath,
          put(path),
          accessed,
          modified,
          flags,
        ),
      );
    },
    setTimes(fd, times) {
      const { accessed, modified, flags } = timeArguments(times);
      check(native.wasiSetTimes(fd, accessed, modified, flags));
    },
    setSize: (fd, size) => check(native.wasiSetSize(fd, signed(size))),
    sync: (fd, what) => check(native.wasiSync(fd, Number(what === "data"))),
    advise(fd, { offset, length }, advice) {
      check(native.wasiAdvise(fd, signed(offset), signed(length), advices.indexOf(advice)));
    },
    createDirectoryAt: (directory, path) =>
      check(native.wasiPathMakeDirectory(memory, directory, firstPath, put(path))),
    unlinkAt: (directory, path) => check(native.wasiPathRemove(memory, directory, firstPath, put(path), 0)),
    removeDirectoryAt: (directory, path) =>
      check(native.wasiPathRemove(memory, directory, firstPath, put(path), 1)),
    readlinkAt(directory, path) {
      check(native.wasiPathReadLink(memory, directory, firstPath, put(path), bufferAt, bufferSize, resultAt));
      return Buffer.from(memory.buffer, bufferAt, view.getUint32(resultAt, true)).toString("utf8");
    },
    symlinkAt(target, directory, path) {
      check(
        native.wasiPathSymlink(memory, firstPath, put(target), directory, secondPath, put(path, secondPath)),
      );
    },
    linkAt(from, oldPath, to, newPath) {
      check(
        native.wasiPathLink(memory, from, firstPath, put(oldPath), to, secondPath, put(newPath, secondPath)),
      );
    },
    renameAt(from, oldPath, to, newPath) {
      check(
        native.wasiPathRename(
          memory,
          from,
          firstPath,
          put(oldPath),
          to,
          secondPath,
          put(newPath, secondPath),
        ),
      );
    },
    readDirectory(directory) {
      const entries: { name: string; type: FileType }[] = [];
      for (let cookie: bigint | undefined = 0n; cookie !== undefined; ) {
        check(native.wasiReadDirectory(memory, directory, bufferAt, bufferSize, cookie, resultAt));
        cookie = readEntries(memory, view, entries);
      }
      return entries;
    },
  };
}

/** Adds the whole entries of a buffer; where to go on when it was full. A record: next, inode, name length, type, name. */
function readEntries(
  memory: Uint8Array,
  view: DataView,
  entries: { name: string; type: FileType }[],
): bigint | undefined {
  const end = bufferAt + view.getUint32(resultAt, true);
  let next: bigint | undefined;
  let at = bufferAt;
  while (at + 24 <= end) {
    const length = view.getUint32(at + 16, true);
    if (at + 24 + length > end) break;
    const name = Buffer.from(memory.buffer, at + 24, length).toString("utf8");
    if (name !== "." && name !== "..")
      entries.push({ name, type: fileTypes[view.getUint8(at + 20)] ?? "unknown" });
    next = view.getBigUint64(at, true);
    at += 24 + length;
  }
  return end - bufferAt === bufferSize ? next : undefined;
}

function readStat(view: DataView): FileStat {
  const word = (offset: number): bigint => view.getBigUint64(resultAt + offset, true);
  const time = (offset: number): bigint => view.getBigInt64(resultAt + offset, true);
  return {
    device: word(0),
    inode: word(8),
    type: fileTypes[view.getUint8(resultAt + 16)] ?? "unknown",
    links: word(24),
    size: word(32),
    accessed: time(40),
    modified: time(48),
    changed: time(56),
  };
}

/** The bits of wasiOpen. */
function openBits(how: OpenHow): number {
  const bits: readonly [boolean, number][] = [
    [how.read || !how.write, 1],
    [how.write, 2],
    [how.create, 4],
    [how.directory, 8],
    [how.exclusive, 16],
    [how.truncate, 32],
    [how.follow, 64],
    [how.syncData, 256],
    [how.sync, 512],
  ];
  return bits.reduce((sum, [set, bit]) => (set ? sum | bit : sum), 0);
}

/** off_t: what the kernel would take for a negative number is larger than any file. */
function signed(size: bigint): bigint {
  if (size > 0x7fff_ffff_ffff_ffffn) throw failure(28);
  return size;
}

/** WASI 0.1's fstflags: 1 and 2 for the access time, 4 and 8 for the other; and our own 1 << 16: a negative time is one before 1970. */
function timeArguments(times: FileTimes): {
  readonly accessed: bigint;
  readonly modified: bigint;
  readonly flags: number;
} {
  const flag = (time: FileTimes["accessed"], set: number): number =>
    time === undefined ? 0 : time === "now" ? set * 2 : set;
  const value = (time: FileTimes["accessed"]): bigint => (typeof time === "bigint" ? time : 0n);
  return {
    accessed: value(times.accessed),
    modified: value(times.modified),
    flags: flag(times.accessed, 1) | flag(times.modified, 4) | (1 << 16),
  };
}

function check(errno: number): void {
  if (errno !== 0) throw failure(errno);
}

function failure(errno: number): Error {
  const code = errnoNames[errno] ?? "EIO";
  return Object.assign(new Error(code), { code });
}

/** Errnos of WASI 0.1 that wasi:filesystem has a name for. */
const errnoNames: Readonly<Record<number, string>> = {
  2: "EACCES",
  6: "EAGAIN",
  7: "EALREADY",
  8: "EBADF",
  10: "EBUSY",
  16: "EDEADLK",
  19: "EDQUOT",
  20: "EEXIST",
  22: "EFBIG",
  25: "EILSEQ",
  26: "EINPROGRESS",
  27: "EINTR",
  28: "EINVAL",
  31: "EISDIR",
  32: "ELOOP",
  34: "EMLINK",
  35: "EMSGSIZE",
  37: "ENAMETOOLONG",
  43: "ENODEV",
  44: "ENOENT",
  46: "ENOLCK",
  48: "ENOMEM",
  51: "ENOSPC",
  52: "ENOSYS",
  54: "ENOTDIR",
  55: "ENOTEMPTY",
  56: "ENOTRECOVERABLE",
  58: "ENOTSUP",
  59: "ENOTTY",
  60: "ENXIO",
  61: "EOVERFLOW",
  63: "EPERM",
  64: "EPIPE",
  69: "EROFS",
  70: "ESPIPE",
  74: "ETXTBSY",
  75: "EXDEV",
};
