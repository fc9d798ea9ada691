import { native } from "../../../src/native.ts";
import { usage } from "../../limits/usage.ts";
import { Descriptor, fdFlags, fileTypes } from "./descriptor.ts";
import { presentTimes } from "./deterministic.ts";
import { errno } from "./errno.ts";
import { guarded, viewOf } from "./little-endian.ts";
import { refusal } from "./refusal.ts";
import { rights, rightsAskedFor, rightsFrom, rightsOf } from "./rights.ts";
import type { State } from "./state.ts";

const SYMLINK_FOLLOW = 1;

/** Bits of WASI's oflags. */
const oflags = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;

/** Bits of wasiOpen's flags (native/addon/wasi_path.cc). */
const open = {
  read: 1,
  write: 2,
  create: 4,
  directory: 8,
  exclusive: 16,
  truncate: 32,
  follow: 64,
  append: 128,
  dsync: 256,
  sync: 512,
  nonblock: 1024,
} as const;

const writing = rights.fdWrite | rights.fdAllocate | rights.fdFilestatSetSize;
const opened = new Int32Array(2);

/** The calls that change the tree of files. A descriptor that is no directory gets the kernel's ENOTDIR. */
export function treeImports(state: State) {
  const { table } = state;
  /** The directory, or the errno that says why it cannot serve. */
  const changing = (fd: number, right: number): Descriptor | number => {
    const directory = table.get(fd);
    if (directory !== undefined && directory.type !== fileTypes.directory) return errno.notdir;
    if (directory === undefined || (directory.base & right) === 0) return refusal(directory);
    return directory.readonly ? errno.rofs : directory;
  };
  return {
    path_create_directory: (fd: number, path: number, length: number) => {
      const at = changing(fd, rights.pathCreateDirectory);
      return typeof at === "number" ? at : native.wasiPathMakeDirectory(state.bytes(), at.fd, path, length);
    },
    path_remove_directory: (fd: number, path: number, length: number) => {
      const at = changing(fd, rights.pathRemoveDirectory);
      return typeof at === "number" ? at : native.wasiPathRemove(state.bytes(), at.fd, path, length, 1);
    },
    path_unlink_file: (fd: number, path: number, length: number) => {
      const at = changing(fd, rights.pathUnlinkFile);
      return typeof at === "number" ? at : native.wasiPathRemove(state.bytes(), at.fd, path, length, 0);
    },
    path_symlink: (contents: number, contentsLength: number, fd: number, path: number, length: number) => {
      const at = changing(fd, rights.pathSymlink);
      if (typeof at === "number") return at;
      return native.wasiPathSymlink(state.bytes(), contents, contentsLength, at.fd, path, length);
    },
    path_link: (
      fd: number,
      flags: number,
      path: number,
      length: number,
      toFd: number,
      toPath: number,
      toLength: number,
    ) => {
      const from = changing(fd, rights.pathLinkSource);
      const to = changing(toFd, rights.pathLinkTarget);
      if (typeof from === "number") return from;
      if (typeof to === "number") return to;
      // As in every other runtime: a link to what a symlink leads to is not offered.
      if ((flags & SYMLINK_FOLLOW) !== 0) return errno.inval;
      return native.wasiPathLink(state.bytes(), from.fd, path, length, to.fd, toPath, toLength);
    },
    path_rename: (
      fd: number,
      path: number,
      length: number,
      toFd: number,
      toPath: number,
      toLength: number,
    ) => {
      const from = changing(fd, rights.pathRenameSource);
      const to = changing(toFd, rights.pathRenameTarget);
      if (typeof from === "number") return from;
      if (typeof to === "number") return to;
      return native.wasiPathRename(state.bytes(), from.fd, path, length, to.fd, toPath, toLength);
    },
    path_filestat_set_times: (
      fd: number,
      follow: number,
      path: number,
      length: number,
      atime: bigint,
      mtime: bigint,
      flags: number,
    ) => {
      const at = changing(fd, rights.pathFilestatSetTimes);
      if (typeof at === "number") return at;
      return native.wasiPathSetTimes(
        state.bytes(),
        at.fd,
        follow & SYMLINK_FOLLOW,
        path,
        length,
        ...presentTimes(state, [atime, mtime, flags]),
      );
    },
  };
}

/** The calls that only look. */
export function lookupImports(state: State) {
  const { table } = state;
  return {
    path_filestat_get: (fd: number, follow: number, path: number, length: number, result: number) => {
      const at = table.get(fd);
      if (at !== undefined && at.type !== fileTypes.directory) return errno.notdir;
      if (at === undefined || (at.base & rights.pathFilestatGet) === 0) return refusal(at);
      const unstable = Number(state.unstable);
      return native.wasiPathStat(
        state.bytes(),
        at.fd,
        follow & SYMLINK_FOLLOW,
        path,
        length,
        result,
        unstable,
      );
    },
    path_readlink: (
      fd: number,
      path: number,
      length: number,
      buffer: number,
      size: number,
      result: number,
    ) => {
      const at = table.get(fd);
      if (at !== undefined && at.type !== fileTypes.directory) return errno.notdir;
      if (at === undefined || (at.base & rights.pathReadlink) === 0) return refusal(at);
      return native.wasiPathReadLink(state.bytes(), at.fd, path, length, buffer, size, result);
    },
    path_open: (
      fd: number,
      follow: number,
      path: number,
      length: number,
      how: number,
      base: bigint,
      inheriting: bigint,
      flags: number,
      result: number,
    ) =>
      openPath(state, {
        fd,
        follow,
        path,
        length,
        how,
        base: rightsFrom(base),
        inheriting: rightsFrom(inheriting),
        flags,
        result,
      }),
  };
}

interface OpenRequest {
  readonly fd: number;
  readonly follow: number;
  readonly path: number;
  readonly length: number;
  readonly how: number;
  readonly base: number;
  readonly inheriting: number;
  readonly flags: number;
  readonly result: number;
}

function openPath(state: State, request: OpenRequest): number {
  const directory = state.table.get(request.fd);
  if (directory !== undefined && directory.type !== fileTypes.directory) return errno.notdir;
  if (directory === undefined || (directory.base & neededToOpen(request)) !== neededToOpen(request))
    return refusal(directory);
  if ((request.how & oflags.truncate) !== 0 && !directory.truncates) return errno.notcapable;
  const beyond = (request.base | request.inheriting) & ~directory.inheriting;
  if (beyond !== 0) return errno.notcapable;
  const flags = openFlags(request);
  const changes = (flags & (open.write | open.create | open.truncate)) !== 0;
  if (changes && directory.readonly) return errno.rofs;
  return guarded(() => {
    const view = viewOf(state);
    // A pointer that leads nowhere is found before anything is opened or created.
    view.getUint32(request.result >>> 0, true);
    usage.open();
    const failure = native.wasiOpen(state.bytes(), directory.fd, request.path, request.length, flags, opened);
    if (failure !== 0) {
      usage.closed();
      return failure;
    }
    view.setUint32(request.result >>> 0, addOpened(state, directory, request), true);
    return 0;
  });
}

/** Gives what wasiOpen opened a number. */
function addOpened(state: State, directory: Descriptor, request: OpenRequest): number {
  const [fd = -1, type = 0] = opened;
  const { readonly, truncates } = directory;
  const possible = type === fileTypes.directory ? rightsOf.directory : rightsOf.regular;
  const asked = rightsAskedFor(request);
  const base = asked.base & directory.inheriting & possible;
  const inheriting = asked.inheriting & directory.inheriting;
  const kept = { readonly, truncates, counted: true };
  return state.table.add(new Descriptor({ fd, type, base, inheriting, flags: request.flags, ...kept }));
}

function neededToOpen({ how }: OpenRequest): number {
  return rights.pathOpen | ((how & oflags.create) !== 0 ? rights.pathCreateFile : 0);
}

function openFlags({ how, base, flags, follow }: OpenRequest): number {
  const asked = (bit: number, value: number): number => (bit === 0 ? 0 : value);
  return (
    asked(base & rights.fdRead, open.read) |
    // Truncating is writing: without the right to write, the kernel would do it on a read-only descriptor all the same.
    asked((base & writing) | (how & oflags.truncate), open.write | asked(base & rights.fdRead, open.read)) |
    asked(how & oflags.create, open.create) |
    asked(how & oflags.directory, open.directory) |
    asked(how & oflags.exclusive, open.exclusive) |
    asked(how & oflags.truncate, open.truncate) |
    asked(follow & SYMLINK_FOLLOW, open.follow) |
    asked(flags & fdFlags.append, open.append) |
    asked(flags & fdFlags.dsync, open.dsync) |
    asked(flags & (fdFlags.sync | fdFlags.rsync), open.sync) |
    asked(flags & fdFlags.nonblock, open.nonblock)
  );
}
