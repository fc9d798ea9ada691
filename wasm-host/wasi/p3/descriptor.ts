import { metadataHash } from "../p2/descriptor-stat.ts";
import { createFileInput, createFileOutput } from "../p2/file-streams.ts";
import { type Advice, type FileStat, type Files, type OpenHow, statDescriptor } from "../p2/files.ts";
import { OpenFile } from "../p2/open-file.ts";
import { type DescriptorFlags, type OpenFlags, openHow, type PathFlags } from "../p2/open-how.ts";
import { done, err, ok, type Result } from "../p2/result.ts";
import {
  type DescriptorType,
  descriptorStat,
  descriptorType,
  type ErrorCode,
  fileTimes,
  type NewTimestamp,
  toErrorCode,
} from "./descriptor-types.ts";
import { type DirectoryEntry, entryStream } from "./entry-stream.ts";
import { type GuestStream, pump } from "./guest-stream.ts";
import { chunksOf, failedStream, hostStream, type StreamAndEnd } from "./host-stream.ts";

type Outcome<T> = Result<T, ErrorCode>;

interface DescriptorOptions {
  readonly files: Files;
  /** What the guest is told. */
  readonly flags: DescriptorFlags;
  /** Whether the grant lets the guest change what is here; it comes from the preopen. */
  readonly mayChange: boolean;
  /** Closed when the guest drops it. */
  readonly owned: boolean;
}

/**
 * The resource `descriptor` of wasi:filesystem/types 0.3: a file or directory, below a preopen for ever. Its methods are async for the
 * guest and done when they return: a disk is not waited for. Whether something may be changed is the preopen's affair; that a
 * directory was opened without `mutate-directory` takes no right away, because libc opens them so before it makes and removes files in them.
 */
export class Descriptor {
  readonly #open: OpenFile;
  readonly #options: DescriptorOptions;

  constructor(fd: number, options: DescriptorOptions) {
    this.#open = new OpenFile(fd, options.owned ? options.files : undefined);
    this.#options = options;
  }

  readViaStream(offset: bigint): StreamAndEnd<Uint8Array, ErrorCode> {
    const refusal = this.#refusal("read");
    if (refusal !== undefined) return failedStream(refusal);
    return hostStream(
      chunksOf({ ...createFileInput(this.#fd, offset), close: this.#open.hold() }),
      toErrorCode,
    );
  }

  writeViaStream(data: GuestStream, offset: bigint): Promise<Outcome<void>> {
    return this.#write(data, offset);
  }

  appendViaStream(data: GuestStream): Promise<Outcome<void>> {
    return this.#write(data, "append");
  }

  async #write(data: GuestStream, offset: bigint | "append"): Promise<Outcome<void>> {
    const refusal = this.#refusal("write");
    if (refusal !== undefined) {
      data[Symbol.dispose]();
      return err(refusal);
    }
    const sink = createFileOutput(this.#fd, offset);
    const release = this.#open.hold();
    const error = await pump(data, (bytes) => sink.write(bytes));
    release();
    return error === undefined ? done : err(toErrorCode(error));
  }

  /** Why its content can be neither read nor written. */
  #refusal(access: "read" | "write"): ErrorCode | undefined {
    if (statDescriptor(this.#fd).type === "directory") return { tag: "is-directory" };
    return this.#options.flags[access] === true ? undefined : { tag: "bad-descriptor" };
  }

  advise(offset: bigint, length: bigint, advice: Advice): Outcome<void> {
    return attempt(() => {
      if (this.#stat().type === "directory") throw errno("EBADF");
      this.#options.files.advise(this.#fd, { offset, length }, advice);
    });
  }

  syncData(): Outcome<void> {
    return attempt(() => this.#options.files.sync(this.#fd, "data"));
  }

  sync(): Outcome<void> {
    return attempt(() => this.#options.files.sync(this.#fd, "all"));
  }

  getFlags(): Outcome<DescriptorFlags> {
    return ok(this.#options.flags);
  }

  getType(): Outcome<DescriptorType> {
    return attempt(() => descriptorType(this.#stat().type));
  }

  setSize(size: bigint): Outcome<void> {
    if (this.#options.flags.write !== true) return err({ tag: "bad-descriptor" });
    return attempt(() => this.#options.files.setSize(this.#fd, size));
  }

  setTimes(accessed: NewTimestamp, modified: NewTimestamp): Outcome<void> {
    return this.#change((files) => files.setTimes(this.#fd, fileTimes(accessed, modified)));
  }

  readDirectory(): StreamAndEnd<DirectoryEntry, ErrorCode> {
    try {
      return entryStream(this.#options.files.readDirectory(this.#fd));
    } catch (error) {
      return failedStream(toErrorCode(error));
    }
  }

  createDirectoryAt(path: string): Outcome<void> {
    return this.#change((files) => files.createDirectoryAt(this.#fd, path));
  }

  stat(): Outcome<unknown> {
    return attempt(() => descriptorStat(this.#stat()));
  }

  statAt(flags: PathFlags, path: string): Outcome<unknown> {
    return attempt(() => descriptorStat(this.#statAt(flags, path)));
  }

  setTimesAt(flags: PathFlags, path: string, accessed: NewTimestamp, modified: NewTimestamp): Outcome<void> {
    const follow = flags.symlinkFollow === true;
    return this.#change((files) => files.setTimesAt(this.#fd, path, follow, fileTimes(accessed, modified)));
  }

  linkAt(flags: PathFlags, oldPath: string, to: Descriptor, newPath: string): Outcome<void> {
    if (flags.symlinkFollow === true) return err({ tag: "invalid" }); // the link itself is linked, never its target
    if (!to.#options.mayChange) return err({ tag: "read-only" });
    return this.#change((files) => files.linkAt(this.#fd, oldPath, to.#fd, newPath));
  }

  openAt(
    pathFlags: PathFlags,
    path: string,
    openFlags: OpenFlags,
    flags: DescriptorFlags,
  ): Outcome<Descriptor> {
    const how = openHow(pathFlags, openFlags, flags);
    const { mayChange, files } = this.#options;
    if ((how.write || flags.mutateDirectory === true) && !mayChange) return err({ tag: "read-only" });
    if (how.directory && (how.create || how.exclusive || how.truncate)) return err({ tag: "invalid" });
    return attempt(() => {
      const fd = files.openAt(this.#fd, path, how);
      const directory = statDescriptor(fd).type === "directory";
      return new Descriptor(fd, { files, mayChange, owned: true, flags: openedFlags(how, flags, directory) });
    });
  }

  readlinkAt(path: string): Outcome<string> {
    return attempt(() => {
      const target = this.#options.files.readlinkAt(this.#fd, path);
      if (target.startsWith("/")) throw errno("EPERM"); // an absolute target tells of a tree that the guest is not in
      return target;
    });
  }

  removeDirectoryAt(path: string): Outcome<void> {
    return this.#change((files) => files.removeDirectoryAt(this.#fd, path));
  }

  renameAt(oldPath: string, to: Descriptor, newPath: string): Outcome<void> {
    if (!to.#options.mayChange) return err({ tag: "read-only" });
    return this.#change((files) => files.renameAt(this.#fd, oldPath, to.#fd, newPath));
  }

  symlinkAt(target: string, path: string): Outcome<void> {
    return this.#change((files) => files.symlinkAt(target, this.#fd, path));
  }

  unlinkFileAt(path: string): Outcome<void> {
    return this.#change((files) => files.unlinkAt(this.#fd, path));
  }

  isSameObject(other: Descriptor): boolean {
    const [one, two] = [this.#stat(), other.#stat()];
    return one.device === two.device && one.inode === two.inode;
  }

  metadataHash(): Outcome<unknown> {
    return attempt(() => metadataHash(this.#stat()));
  }

  metadataHashAt(flags: PathFlags, path: string): Outcome<unknown> {
    return attempt(() => metadataHash(this.#statAt(flags, path)));
  }

  [Symbol.dispose](): void {
    this.#open.release();
  }

  get #fd(): number {
    return this.#open.fd;
  }

  #stat(): FileStat {
    return statDescriptor(this.#fd);
  }

  #statAt(flags: PathFlags, path: string): FileStat {
    return this.#options.files.statAt(this.#fd, path, flags.symlinkFollow === true);
  }

  #change(action: (files: Files) => void): Outcome<void> {
    if (!this.#options.mayChange) return err({ tag: "read-only" });
    return attempt(() => action(this.#options.files));
  }
}

function attempt<T>(action: () => T): Outcome<T> {
  try {
    return ok(action());
  } catch (error) {
    return err(toErrorCode(error));
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

function openedFlags(how: OpenHow, asked: DescriptorFlags, directory: boolean): DescriptorFlags {
  if (directory) return { read: true, mutateDirectory: asked.mutateDirectory === true };
  return { ...asked, read: how.read, write: how.write, mutateDirectory: false };
}
