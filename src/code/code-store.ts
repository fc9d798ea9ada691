import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { checkedCode, decodeHead, ENTRY_HEAD_BYTES, type EntryHead, encodeHead } from "./code-entry.ts";
import { MAX_CODE_BYTES, MAX_STORE_BYTES } from "./policy.ts";

/** Beside an entry, once it has been used: one byte for each use. Its own time of change is that of the last one. */
const usesSuffix = ".uses";
const newSuffix = ".new";
/** In place of an entry: its module could not be compiled. */
const failedSuffix = ".failed";

/** Then it is tried once more: it may have been the machine that had no time or no memory. */
const FAILED_MS = 24 * 60 * 60 * 1000;

export interface CodeStoreOptions {
  /** `<state dir>/code`. Made when it is missing, root's, 0700. */
  readonly directory: string;
  readonly maxBytes?: number;
}

/** Of one entry, as `tandem cache` shows it. */
export interface StoredCode {
  readonly engine: string;
  readonly module: string;
  readonly bytes: number;
  readonly uses: number;
  readonly usedAt: Date;
}

/**
 * Code of modules, on disk: `<directory>/<engine>/<sha256 of the module>`. A file appears under its name when it is whole, and
 * is not changed afterwards. It is machine code: whoever uses it checks it before, each time, in the process that uses it
 * (`checkedCode`). The least recently used go when all of them outgrow the bound; a process that has one open keeps it.
 */
export class CodeStore {
  readonly #directory: string;
  readonly #maxBytes: number;

  constructor(options: CodeStoreOptions) {
    this.#directory = options.directory;
    this.#maxBytes = options.maxBytes ?? MAX_STORE_BYTES;
  }

  /** An entry's file, open; undefined when there is none. Counted as a use. */
  open(engine: string, module: string): number | undefined {
    const path = this.#pathOf(engine, module);
    try {
      const fd = openSync(path, "r");
      countUse(path);
      return fd;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Whoever may not look into the store, as a user who is not root, has none.
      if (code === "ENOENT" || code === "EACCES" || code === "EPERM") return undefined;
      throw TandemError.from(error, `code store ${path}`);
    }
  }

  has(engine: string, module: string): boolean {
    return statSync(this.#pathOf(engine, module), { throwIfNoEntry: false }) !== undefined;
  }

  /** Whether code of this module could not be made lately. */
  hasFailed(engine: string, module: string): boolean {
    const mark = statSync(this.#pathOf(engine, module) + failedSuffix, { throwIfNoEntry: false });
    return mark !== undefined && Date.now() - mark.mtimeMs < FAILED_MS;
  }

  /** @throws TandemError */
  markFailed(engine: string, module: string): void {
    const path = this.#pathOf(engine, module) + failedSuffix;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      writeFileSync(path, "", { mode: 0o600 });
    } catch (error) {
      throw TandemError.from(error, `code store ${path}`);
    }
  }

  /**
   * Keeps code under its head's name, for good or not at all.
   * @throws TandemError resource_exhausted when the disk is full
   */
  add(head: EntryHead, code: Uint8Array): void {
    const path = this.#pathOf(head.engine, head.module);
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      // Only one process at a time makes code (code-compiler.ts): what has this name was left by one that died.
      const temporary = `${path}${newSuffix}`;
      rmSync(temporary, { force: true });
      try {
        writeDurably(temporary, [encodeHead(head), code]);
        renameSync(temporary, path);
      } finally {
        rmSync(temporary, { force: true });
      }
    } catch (error) {
      throw TandemError.from(error, `code store ${path}`);
    }
    this.trim(this.#maxBytes, path);
  }

  remove({ engine, module }: Pick<StoredCode, "engine" | "module">): void {
    const path = this.#pathOf(engine, module);
    for (const suffix of ["", usesSuffix, failedSuffix]) rmSync(path + suffix, { force: true });
  }

  /**
   * Reads and checks an entry as whoever uses it does.
   * @throws TandemError failed_precondition with what is wrong, not_found
   */
  verify({ engine, module }: Pick<StoredCode, "engine" | "module">): EntryHead {
    const path = this.#pathOf(engine, module);
    let fd: number;
    try {
      fd = openSync(path, "r");
    } catch (error) {
      throw TandemError.from(error, `code store ${path}`);
    }
    try {
      if (fstatSync(fd).size > MAX_CODE_BYTES + ENTRY_HEAD_BYTES)
        throw new TandemError("failed_precondition", "it is too large");
      const file = native.mapFile(fd);
      try {
        checkedCode(new Uint8Array(file), { engine, module });
        return decodeHead(new Uint8Array(file));
      } finally {
        native.unmapFile(file);
      }
    } catch (error) {
      throw TandemError.from(error, `code store ${path}`);
    } finally {
      closeSync(fd);
    }
  }

  /** What an entry says of itself; undefined when it is gone or says nothing that is understood. */
  describe({ engine, module }: Pick<StoredCode, "engine" | "module">): EntryHead | undefined {
    try {
      const fd = openSync(this.#pathOf(engine, module), "r");
      try {
        const head = Buffer.alloc(ENTRY_HEAD_BYTES);
        readSync(fd, head, 0, head.length, 0);
        return decodeHead(head);
      } finally {
        closeSync(fd);
      }
    } catch {
      return undefined;
    }
  }

  /** Removes all of it. */
  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** All entries, the least recently used first. */
  list(): StoredCode[] {
    return namesIn(this.#directory)
      .filter((engine) => /^[0-9a-f]{32}$/.test(engine))
      .flatMap((engine) =>
        namesIn(join(this.#directory, engine))
          .filter((name) => /^[0-9a-f]{64}$/.test(name))
          .flatMap((module) => this.#look(engine, module) ?? []),
      )
      .sort((a, b) => a.usedAt.getTime() - b.usedAt.getTime());
  }

  /** Removes the least recently used until at most so many bytes are left, and what a process that died has left. Returns what it removed. */
  trim(maxBytes = this.#maxBytes, except?: string): StoredCode[] {
    this.#removeLeftovers();
    const entries = this.list();
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    const removed: StoredCode[] = [];
    for (const entry of entries) {
      if (total <= maxBytes) break;
      if (this.#pathOf(entry.engine, entry.module) === except) continue;
      this.remove(entry);
      removed.push(entry);
      total -= entry.bytes;
    }
    return removed;
  }

  /** Files that are of no use any more: nobody writes to them, or what they say is too old to count. */
  #removeLeftovers(): void {
    for (const engine of namesIn(this.#directory)) {
      for (const name of namesIn(join(this.#directory, engine))) {
        if (!name.endsWith(newSuffix) && !name.endsWith(failedSuffix)) continue;
        const path = join(this.#directory, engine, name);
        const status = statSync(path, { throwIfNoEntry: false });
        if (status !== undefined && Date.now() - status.mtimeMs > FAILED_MS) rmSync(path, { force: true });
      }
    }
  }

  #look(engine: string, module: string): StoredCode | undefined {
    const path = this.#pathOf(engine, module);
    const status = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) return undefined; // somebody else is removing it
    const uses = statSync(path + usesSuffix, { throwIfNoEntry: false });
    return {
      engine,
      module,
      bytes: status.size,
      uses: uses?.size ?? 0,
      usedAt: (uses ?? status).mtime,
    };
  }

  #pathOf(engine: string, module: string): string {
    if (!/^[0-9a-f]{32}$/.test(engine) || !/^[0-9a-f]{64}$/.test(module))
      throw new TandemError("internal", `code store: ${engine}/${module} is no entry's name`);
    return join(this.#directory, engine, module);
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw TandemError.from(error, `code store ${directory}`);
  }
}

/** Appending is atomic, and a count that is one short after a full disk harms nobody. */
function countUse(path: string): void {
  try {
    const fd = openSync(path + usesSuffix, "a", 0o600);
    try {
      writeSync(fd, ".");
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}

function writeDurably(path: string, parts: readonly Uint8Array[]): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    for (const part of parts)
      for (let written = 0; written < part.length; ) written += writeSync(fd, part, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
