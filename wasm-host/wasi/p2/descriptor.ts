import { descriptorStat, fileTimes, metadataHash, type NewTimestamp } from "./descriptor-stat.ts";
import { createFileInput, createFileOutput, readAt, writeAt } from "./file-streams.ts";
import { type Advice, errorCodeOf, type Files, type FileType, statDescriptor } from "./files.ts";
import { OpenFile } from "./open-file.ts";
import { type DescriptorFlags, type OpenFlags, openHow, type PathFlags } from "./open-how.ts";
import { err, ok, type Result } from "./result.ts";
import { InputStream, OutputStream } from "./streams.ts";
import type { Waiter } from "./waiting.ts";

/** What every descriptor of one instance shares. */
export interface FilesystemHost {
  readonly files: Files;
  readonly waiter: Waiter;
}

type Outcome<T> = Result<T, string>;

interface DescriptorOptions {
  /** What the guest is told. */
  readonly flags: DescriptorFlags;
  /** Whether the grant lets the guest change what is here; it comes from the preopen. */
  readonly mayChange: boolean;
  /** Closed when the guest drops it. */
  readonly owned: boolean;
  readonly host: FilesystemHost;
}

/** The resource `descriptor` of wasi:filesystem/types 0.2: a file or directory, below a preopen for ever. */
export class Descriptor {
  readonly #open: OpenFile;
  readonly #flags: DescriptorFlags;
  readonly #mayChange: boolean;
  readonly #host: FilesystemHost;

  constructor(fd: number, options: DescriptorOptions) {
    this.#open = new OpenFile(fd, options.owned ? options.host.files : undefined);
    this.#flags = options.flags;
    this.#mayChange = options.mayChange;
    this.#host = options.host;
  }

  readViaStream(offset: bigint): Outcome<InputStream> {
    return this.#read(() => {
      if (statDescriptor(this.#fd).type === "directory") throw errno("EISDIR");
      const input = { ...createFileInput(this.#fd, offset), close: this.#open.hold() };
      return new InputStream(input, this.#host.waiter);
    });
  }

  writeViaStream(offset: bigint): Outcome<OutputStream> {
    return this.#write(() => this.#outputStream(offset));
  }

  appendViaStream(): Outcome<OutputStream> {
    return this.#write(() => this.#outputStream("append"));
  }

  advise(offset: bigint, length: bigint, advice: Advice): Outcome<void> {
    return attempt(() => {
      if (statDescriptor(this.#fd).type === "directory") throw errno("EBADF");
      this.#host.files.advise(this.#fd, { offset, length }, advice);
    });
  }

  syncData(): Outcome<void> {
    return attempt(() => this.#host.files.sync(this.#fd, "data"));
  }

  sync(): Outcome<void> {
    return attempt(() => this.#host.files.sync(this.#fd, "all"));
  }

  getFlags(): Outcome<DescriptorFlags> {
    return ok(this.#flags);
  }

  getType(): Outcome<FileType> {
    return attempt(() => statDescriptor(this.#fd).type);
  }

  setSize(size: bigint): Outcome<void> {
    return attempt(() => {
      if (statDescriptor(this.#fd).type === "directory") throw errno("EBADF");
      if (this.#flags.write !== true) throw errno("EINVAL"); // as ftruncate(2)
      this.#host.files.setSize(this.#fd, size);
    });
  }

  setTimes(accessed: NewTimestamp, modified: NewTimestamp): Outcome<void> {
    return this.#below((files) => files.setTimes(this.#fd, fileTimes(accessed, modified)), "mutate");
  }

  read(length: bigint, offset: bigint): Outcome<[Uint8Array, boolean]> {
    return this.#read(() => {
      const bytes = readAt(this.#fd, length < 1_048_576n ? Number(length) : 1_048_576, offset);
      return [bytes, bytes.length === 0 && length > 0n];
    });
  }

  write(buffer: Uint8Array, offset: bigint): Outcome<bigint> {
    return this.#write(() => BigInt(writeAt(this.#fd, buffer, offset)));
  }

  stat(): Outcome<unknown> {
    return attempt(() => descriptorStat(statDescriptor(this.#fd)));
  }

  statAt(flags: PathFlags, path: string): Outcome<unknown> {
    return this.#below((files) => descriptorStat(files.statAt(this.#fd, path, flags.symlinkFollow === true)));
  }

  setTimesAt(flags: PathFlags, path: string, accessed: NewTimestamp, modified: NewTimestamp): Outcome<void> {
    const times = fileTimes(accessed, modified);
    return this.#below(
      (files) => files.setTimesAt(this.#fd, path, flags.symlinkFollow === true, times),
      "mutate",
    );
  }

  readDirectory(): Outcome<DirectoryEntryStream> {
    return this.#read(() => new DirectoryEntryStream(this.#host.files.readDirectory(this.#fd)));
  }

  createDirectoryAt(path: string): Outcome<void> {
    return this.#below((files) => files.createDirectoryAt(this.#fd, path), "mutate");
  }

  openAt(
    pathFlags: PathFlags,
    path: string,
    openFlags: OpenFlags,
    flags: DescriptorFlags,
  ): Outcome<Descriptor> {
    const how = openHow(pathFlags, openFlags, flags);
    const mayChange = this.#mayChange;
    return this.#below(
      (files) => {
        const fd = files.openAt(this.#fd, path, how);
        const directory = statDescriptor(fd).type === "directory";
        return new Descriptor(fd, {
          flags: directory
            ? { ...flags, read: how.read, write: false, mutateDirectory: mayChange }
            : { ...flags, read: how.read, write: how.write, mutateDirectory: false },
          mayChange,
          owned: true,
          host: this.#host,
        });
      },
      how.write || flags.mutateDirectory === true ? "mutate" : "look",
    );
  }

  readlinkAt(path: string): Outcome<string> {
    return this.#below((files) => {
      const target = files.readlinkAt(this.#fd, path);
      if (target.startsWith("/")) throw errno("EPERM"); // an absolute target tells of a tree that the guest is not in
      return target;
    });
  }

  removeDirectoryAt(path: string): Outcome<void> {
    return this.#below((files) => files.removeDirectoryAt(this.#fd, path), "mutate");
  }

  unlinkFileAt(path: string): Outcome<void> {
    return this.#below((files) => files.unlinkAt(this.#fd, path), "mutate");
  }

  renameAt(oldPath: string, to: Descriptor, newPath: string): Outcome<void> {
    if (!to.#mayChange) return err("read-only");
    return this.#below((files) => files.renameAt(this.#fd, oldPath, to.#fd, newPath), "mutate");
  }

  linkAt(flags: PathFlags, oldPath: string, to: Descriptor, newPath: string): Outcome<void> {
    if (flags.symlinkFollow === true) return err("invalid"); // as wasmtime: the link itself is linked, never its target
    if (!to.#mayChange) return err("read-only");
    return this.#below((files) => files.linkAt(this.#fd, oldPath, to.#fd, newPath), "mutate");
  }

  symlinkAt(target: string, path: string): Outcome<void> {
    if (target.startsWith("/")) return err("not-permitted");
    return this.#below((files) => files.symlinkAt(target, this.#fd, path), "mutate");
  }

  isSameObject(other: Descriptor): boolean {
    const mine = statDescriptor(this.#fd);
    const theirs = statDescriptor(other.#fd);
    return mine.device === theirs.device && mine.inode === theirs.inode;
  }

  metadataHash(): Outcome<unknown> {
    return attempt(() => metadataHash(statDescriptor(this.#fd)));
  }

  metadataHashAt(flags: PathFlags, path: string): Outcome<unknown> {
    return this.#below((files) => metadataHash(files.statAt(this.#fd, path, flags.symlinkFollow === true)));
  }

  [Symbol.dispose](): void {
    this.#open.release();
  }

  get #fd(): number {
    return this.#open.fd;
  }

  #outputStream(offset: bigint | "append"): OutputStream {
    const output = { ...createFileOutput(this.#fd, offset), close: this.#open.hold() };
    return new OutputStream(output, this.#host.waiter);
  }

  #read<T>(action: () => T): Outcome<T> {
    return this.#flags.read === true ? attempt(action) : err("bad-descriptor");
  }

  #write<T>(action: () => T): Outcome<T> {
    return this.#flags.write === true ? attempt(action) : err("bad-descriptor");
  }

  /** An operation on a path below this directory; `mutate` needs the right to change it. */
  #below<T>(action: (files: Files) => T, kind: "look" | "mutate" = "look"): Outcome<T> {
    if (kind === "mutate" && !this.#mayChange) return err("read-only");
    return attempt(() => action(this.#host.files));
  }
}

/** The resource `directory-entry-stream`: what was there when it was opened. */
export class DirectoryEntryStream {
  readonly #entries: Iterator<{ readonly name: string; readonly type: FileType }>;

  constructor(entries: Iterable<{ readonly name: string; readonly type: FileType }>) {
    this.#entries = entries[Symbol.iterator]();
  }

  readDirectoryEntry(): Outcome<{ readonly name: string; readonly type: FileType } | undefined> {
    const { value, done: ended } = this.#entries.next();
    return ok(ended === true ? undefined : value);
  }
}

function attempt<T>(action: () => T): Outcome<T> {
  try {
    return ok(action());
  } catch (error) {
    return err(errorCodeOf(error));
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}
