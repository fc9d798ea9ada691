import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { basename, join } from "node:path";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { assertDigest, type Descriptor } from "./descriptor.ts";
import { digestOf } from "./digest-of.ts";

const DEFAULT_MAX_BYTES = 2 * 1024 * 1024 * 1024;
/** A temporary file older than this has lost its writer. */
const STALE_MS = 60 * 60 * 1000;
const temporaryPrefix = ".new-";

export interface ModuleStoreOptions {
  /** The state directory; the store is `modules/sha256/` in it. */
  readonly stateDir: string;
  readonly maxBytes?: number;
}

type Blob = Pick<Descriptor, "digest" | "size">;

/**
 * Wasm layers as files, named by digest: `<state dir>/modules/sha256/<hex>`. A file appears under its name only when it is whole and
 * has that digest; it is not changed afterwards, so a reader needs no lock. The least recently used go when the store outgrows
 * its bound; a reader that has such a file open keeps it.
 */
export class ModuleStore {
  readonly #directory: string;
  readonly #maxBytes: number;

  constructor(options: ModuleStoreOptions) {
    this.#directory = join(options.stateDir, "modules", "sha256");
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  }

  /** The file's path, counted as used now. A file of another size than the blob's is corrupt: it is dropped and not found. */
  find(blob: Blob): string | undefined {
    const path = this.#pathOf(blob.digest);
    const status = statSync(path, { throwIfNoEntry: false });
    if (status === undefined) return undefined;
    if (!status.isFile() || status.size !== blob.size) {
      rmSync(path, { force: true, recursive: true });
      return undefined;
    }
    const now = new Date();
    // The store may be on a noatime mount: the time of use is kept in mtime, which nothing else needs.
    utimesSync(path, now, now);
    return path;
  }

  /** Drops a file whose content a reader found to be broken. */
  drop(digest: string): void {
    rmSync(this.#pathOf(digest), { force: true });
  }

  /** What is there, the least recently used first. */
  list(): { readonly digest: string; readonly bytes: number; readonly usedAt: Date }[] {
    if (!existsSync(this.#directory)) return [];
    return readdirSync(this.#directory)
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .flatMap((name) => this.#statOf(name) ?? [])
      .sort((a, b) => a.usedAt - b.usedAt)
      .map(({ path, size, usedAt }) => ({
        digest: `sha256:${basename(path)}`,
        bytes: size,
        usedAt: new Date(usedAt),
      }));
  }

  /** @throws TandemError failed_precondition when the content is not what its name says, not_found */
  verify(digest: string): void {
    const path = this.#pathOf(digest);
    try {
      const fd = openSync(path, "r");
      try {
        const actual = digestOf(fd);
        if (actual !== digest) throw new TandemError("failed_precondition", `content has digest ${actual}`);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw TandemError.from(error, `module store ${path}`);
    }
  }

  /** Removes all of it. */
  clear(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /**
   * Stores a blob and returns its path. On failure nothing of it is left.
   *
   * @throws TandemError failed_precondition: the bytes are not the blob's; resource_exhausted: the disk is full or the blob is
   * bigger than the store may be; and what `chunks` raises.
   */
  async add(blob: Blob, chunks: AsyncIterable<Uint8Array>): Promise<string> {
    const path = this.#pathOf(blob.digest);
    if (blob.size > this.#maxBytes) {
      throw new TandemError(
        "resource_exhausted",
        `module ${blob.digest}: ${blob.size} bytes, the store may hold ${this.#maxBytes}`,
      );
    }
    const temporary = join(
      this.#directory,
      `${temporaryPrefix}${native.getpid()}-${randomBytes(4).toString("hex")}-${blob.digest.slice(7, 23)}`,
    );
    try {
      mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      this.#evict(this.#maxBytes - blob.size);
      await write(temporary, blob, chunks);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw TandemError.from(error, `module store ${this.#directory}: ${blob.digest}`);
    }
    return path;
  }

  #pathOf(digest: string): string {
    assertDigest(digest);
    return join(this.#directory, digest.slice("sha256:".length));
  }

  /** Removes the least recently used until at most `bytes` are left. */
  #evict(bytes: number): void {
    const files = readdirSync(this.#directory).flatMap((name) => this.#statOf(name) ?? []);
    let total = files.reduce((sum, file) => sum + file.size, 0);
    for (const file of files.sort((a, b) => a.usedAt - b.usedAt)) {
      const stale = file.temporary && file.usedAt < Date.now() - STALE_MS;
      if (!stale && (total <= bytes || file.temporary)) continue;
      rmSync(file.path, { force: true });
      total -= file.size;
    }
  }

  #statOf(name: string): { path: string; size: number; usedAt: number; temporary: boolean } | undefined {
    const path = join(this.#directory, name);
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isFile() !== true) return undefined;
    return { path, size: status.size, usedAt: status.mtimeMs, temporary: name.startsWith(temporaryPrefix) };
  }
}

async function write(path: string, blob: Blob, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const hash = createHash("sha256");
  const fd = openSync(path, "wx", 0o600);
  let size = 0;
  try {
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > blob.size) break;
      hash.update(chunk);
      writeAll(fd, chunk);
    }
  } finally {
    closeSync(fd);
  }
  if (size !== blob.size)
    throw new TandemError("failed_precondition", `content is not of ${blob.size} bytes`);
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== blob.digest) throw new TandemError("failed_precondition", `content has digest ${actual}`);
}

/** write(2) may write less than it was given, on a full disk just before it says so. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset);
}
