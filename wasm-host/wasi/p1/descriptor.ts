import { native } from "../../../src/native.ts";
import type { Grant } from "../../grant.ts";
import { usage } from "../../limits/usage.ts";
import { rights, rightsOf } from "./rights.ts";

/** WASI's filetypes that the host looks at. */
export const fileTypes = { characterDevice: 2, directory: 3, regular: 4, datagram: 5, stream: 6 } as const;

/** Bits of WASI's fdflags. */
export const fdFlags = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;

/** What a descriptor of the guest is. */
export interface DescriptorOptions {
  readonly fd: number;
  readonly type: number;
  readonly base: number;
  readonly inheriting: number;
  readonly flags: number;
  readonly readonly?: boolean;
  readonly truncates?: boolean;
  readonly preopen?: Uint8Array;
  /** Whether the guest opened it: then it counts among those that it may have open. */
  readonly counted?: boolean;
}

/** An open descriptor: the kernel's, and what WASI keeps on top of it. */
export class Descriptor {
  readonly fd: number;
  readonly type: number;
  /** Rights on it, and those that what is opened beneath it may have; they can only shrink. */
  base: number;
  inheriting: number;
  /** fdflags as the guest set them. Except for append they never reach the kernel: the open file description may be shared. */
  flags: number;
  readonly readonly: boolean;
  /**
   * Whether files beneath a directory may be truncated as they are opened. The right to it (path_filestat_set_size) has to be
   * given up to be missed: Go's os.Root opens directories without it and creates files in them with O_TRUNC.
   */
  truncates: boolean;
  /** The name of a preopened directory. */
  readonly preopen: Uint8Array | undefined;
  readonly counted: boolean;

  constructor(options: DescriptorOptions) {
    this.fd = options.fd;
    this.type = options.type;
    this.base = options.base;
    this.inheriting = options.inheriting;
    this.flags = options.flags;
    this.readonly = options.readonly ?? false;
    this.truncates = options.truncates ?? true;
    this.preopen = options.preopen;
    this.counted = options.counted ?? false;
  }
}

/** The guest's descriptors by number. */
export interface Descriptors {
  get(number: number): Descriptor | undefined;
  /** Gives it the lowest free number, as POSIX does. */
  add(descriptor: Descriptor): number;
  /** Forgets a number and closes what it stood for: 0 or an errno. */
  close(number: number, descriptor: Descriptor): number;
  /** `to` becomes what `from` was; what `to` was is closed. */
  renumber(from: number, to: number, descriptors: { from: Descriptor; to: Descriptor }): number;
}

/** Those of a guest with one thread. What the grant gives is looked at only once it is used. */
export class DescriptorTable implements Descriptors {
  readonly #slots: (Descriptor | (() => Descriptor) | undefined)[] = [];

  constructor(grant: Grant) {
    const { stdin, stdout, stderr } = grant.stdio;
    for (const fd of [stdin, stdout, stderr]) this.#slots.push(() => describeInherited(fd));
    for (const { fd, guestPath, readonly } of grant.preopens) {
      this.#slots.push(() => describePreopen(fd, guestPath, readonly));
    }
    for (const fd of grant.listeners) this.#slots.push(() => describeListener(fd));
  }

  get(number: number): Descriptor | undefined {
    const slot = this.#slots[number >>> 0];
    if (typeof slot !== "function") return slot;
    const descriptor = slot();
    this.#slots[number >>> 0] = descriptor;
    return descriptor;
  }

  add(descriptor: Descriptor): number {
    const free = this.#slots.indexOf(undefined);
    if (free < 0) return this.#slots.push(descriptor) - 1;
    this.#slots[free] = descriptor;
    return free;
  }

  close(number: number, descriptor: Descriptor): number {
    this.#slots[number >>> 0] = undefined;
    if (descriptor.counted) usage.closed();
    return native.wasiClose(descriptor.fd);
  }

  renumber(from: number, to: number, descriptors: { from: Descriptor; to: Descriptor }): number {
    if (from === to) return 0;
    this.#slots[to >>> 0] = descriptors.from;
    this.#slots[from >>> 0] = undefined;
    if (descriptors.to.counted) usage.closed();
    return native.wasiClose(descriptors.to.fd);
  }

  /** In the order of their numbers, as long as none was closed. */
  *all(): Generator<Descriptor> {
    for (const number of this.#slots.keys()) {
      const descriptor = this.get(number);
      if (descriptor !== undefined) yield descriptor;
    }
  }
}

const kind = new Int32Array(4);

/** A descriptor that was open before the guest began: its rights are what it was opened for. */
function describeInherited(fd: number): Descriptor {
  if (native.wasiKind(fd, kind) !== 0)
    return new Descriptor({ fd, type: 0, base: 0, inheriting: 0, flags: 0 });
  const [type = 0, access = 0, isTerminal = 0, flags = 0] = kind;
  const unusable = (access & 1 ? 0 : rights.fdRead) | (access & 2 ? 0 : rights.fdWrite);
  return new Descriptor({
    fd,
    type,
    base: inheritedRights(type, isTerminal !== 0) & ~unusable,
    inheriting: 0,
    flags,
  });
}

function inheritedRights(type: number, isTerminal: boolean): number {
  if (type === fileTypes.directory) return rightsOf.directory;
  if (type === fileTypes.stream || type === fileTypes.datagram) return rightsOf.socket;
  // isatty(3) of wasi-libc is "a character device that cannot seek": /dev/null must not pass for a terminal.
  const seekable = type === fileTypes.regular || (type === fileTypes.characterDevice && !isTerminal);
  return seekable ? rightsOf.regular : rightsOf.stream;
}

function describePreopen(fd: number, guestPath: string, readonly: boolean): Descriptor {
  const { directory: base, inheriting } = rightsOf;
  const preopen = Buffer.from(guestPath);
  return new Descriptor({ fd, type: fileTypes.directory, base, inheriting, flags: 0, readonly, preopen });
}

function describeListener(fd: number): Descriptor {
  const { listener: base, socket: inheriting } = rightsOf;
  return new Descriptor({ fd, type: fileTypes.stream, base, inheriting, flags: 0 });
}
