/** Bits of `rights`. WASI has 64 of them on the wire, and names 30, so numbers hold them. */
export const rights = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  pathCreateDirectory: 1 << 9,
  pathCreateFile: 1 << 10,
  pathLinkSource: 1 << 11,
  pathLinkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathRenameSource: 1 << 16,
  pathRenameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathFilestatSetSize: 1 << 19,
  pathFilestatSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdFilestatSetSize: 1 << 22,
  fdFilestatSetTimes: 1 << 23,
  pathSymlink: 1 << 24,
  pathRemoveDirectory: 1 << 25,
  pathUnlinkFile: 1 << 26,
  pollFdReadwrite: 1 << 27,
  sockShutdown: 1 << 28,
  sockAccept: 1 << 29,
} as const;

const ALL = 2 ** 30 - 1;

const anyFile =
  rights.fdFdstatSetFlags |
  rights.fdFilestatGet |
  rights.fdFilestatSetTimes |
  rights.fdSync |
  rights.fdDatasync |
  rights.pollFdReadwrite;

const regular =
  anyFile |
  rights.fdRead |
  rights.fdWrite |
  rights.fdSeek |
  rights.fdTell |
  rights.fdAdvise |
  rights.fdAllocate |
  rights.fdFilestatSetSize;

/** Every right that makes sense on an open directory; reading, writing and seeking do not. */
const directory =
  (ALL & ~regular & ~rights.sockShutdown & ~rights.sockAccept) |
  rights.fdFdstatSetFlags |
  rights.fdFilestatGet |
  rights.fdFilestatSetTimes |
  rights.fdSync |
  rights.fdDatasync;

/** The rights that a descriptor can have, by what it is. */
export const rightsOf = {
  regular,
  directory,
  /** Files opened beneath a directory: anything that a file or a directory can have. */
  inheriting: regular | directory,
  stream: anyFile | rights.fdRead | rights.fdWrite,
  socket: anyFile | rights.fdRead | rights.fdWrite | rights.sockShutdown,
  listener: rights.sockAccept | rights.fdFdstatSetFlags | rights.fdFilestatGet | rights.pollFdReadwrite,
} as const;

const access = rights.fdRead | rights.fdWrite;
const changingContents = rights.fdAllocate | rights.fdFilestatSetSize;

/**
 * The rights that path_open asks for on what it opens, and beneath it. Who names any but those to read and to write gets those
 * that are named. Who names none has no rights in mind (wasmtime has long ceased to look at them, and guests made for it leave
 * them out) and gets whatever goes with reading, writing or neither.
 */
export function rightsAskedFor(named: AskedRights): AskedRights {
  if ((named.base & ~access) !== 0 || named.inheriting !== 0) return named;
  const withoutWriting = (named.base & rights.fdWrite) === 0 ? changingContents : 0;
  const inheriting = rightsOf.inheriting;
  return { base: (inheriting & ~access & ~withoutWriting) | named.base, inheriting };
}

export interface AskedRights {
  readonly base: number;
  readonly inheriting: number;
}

/** Narrows the guest's u64; bits that nobody has named are nobody's right. */
export function rightsFrom(wire: bigint): number {
  return Number(BigInt.asUintN(30, wire));
}
