import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TandemError } from "../errors.ts";
import { lockFile } from "../file-lock.ts";
import { type ComponentFunctions, isComponentFunctions } from "../wasm-binary/component/value-types.ts";

/** One file of an entry, as it was when it was written. */
export interface FileRecord {
  readonly size: number;
  readonly sha256: string;
}

/** manifest.json of an entry: what the transpiler made of a component. */
export interface ComponentManifest {
  /** The component's own imports and exports, with versions. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
  /** Whether the glue suspends (JSPI) instead of blocking. */
  readonly suspends: boolean;
  /** What can be called by name; undefined when its types could not be read. */
  readonly functions?: ComponentFunctions | undefined;
  /** Why there is glue and no link plan, of a component that could have one. */
  readonly unlinkable?: string;
  readonly files: Readonly<Record<string, FileRecord>>;
}

export interface CacheEntry {
  readonly dir: string;
  readonly manifest: ComponentManifest;
}

/** Of an entry that is linked by a plan (link/plan.ts), instead of `glue.js` and `glue.cache`. */
export const planFile = "plan.json";

/** Fills an empty directory with an entry's files, manifest.json last. */
export type BuildEntry = (directory: string) => Promise<void>;

export interface CacheOptions {
  /** Where entries live: `<state dir>/components`. Made when missing. */
  readonly directory: string;
  /** Entries are dropped, least recently used first, until what is left is no larger. */
  readonly maxBytes: number;
}

const lockSuffix = ".lock";
const temporaryInfix = ".tmp-";

/** An entry that was handed out so recently may not have been read yet. */
const inUseMs = 10 * 60 * 1000;

/**
 * Entries of files, each made once per key and complete or absent: written beside its place, flushed, renamed.
 *
 * What is checked on each look-up: the manifest is well-formed, every file it lists is there with its size, and the glue, its
 * code cache and the link plan, which work outside the WebAssembly sandbox, have their sha256. Core modules (a JavaScript
 * component's is 12 MB, 20 ms) are hashed by the process that compiles them, each time.
 */
export class CompileCache {
  readonly #options: CacheOptions;

  constructor(options: CacheOptions) {
    this.#options = options;
  }

  /**
   * The entry of this key, or undefined. One that is damaged or foreign is removed.
   * @throws TandemError when it cannot be looked at
   */
  find(key: string): CacheEntry | undefined {
    const dir = join(this.#options.directory, key);
    try {
      const manifest = readManifest(dir);
      verify(dir, manifest, (name) => name.startsWith("glue.") || name === planFile);
      const now = new Date();
      utimesSync(join(dir, "manifest.json"), now, now); // the time of use, for the eviction
      return { dir, manifest };
    } catch (error) {
      // Anything else passes, as when there are too many open files: somebody may be using the entry.
      if (!isDamage(error)) throw TandemError.from(error, `component cache ${dir}`);
      rmSync(dir, { recursive: true, force: true });
      return undefined;
    }
  }

  /**
   * The entry of this key, built when there is none. Of several callers at once, in whatever process, one builds.
   * @throws TandemError `resource_exhausted` when the disk is full; whatever `build` throws. Nothing is left behind.
   */
  async findOrBuild(key: string, build: BuildEntry, signal?: AbortSignal): Promise<CacheEntry> {
    for (;;) {
      const found = this.find(key);
      if (found !== undefined) return found;
      const unlock = this.#tryLock(key);
      if (unlock === undefined) {
        await sleep(20, undefined, signal === undefined ? {} : { signal });
        continue;
      }
      try {
        // Another one may have finished between the look and the lock.
        return this.find(key) ?? (await this.#build(key, build));
      } finally {
        unlock();
      }
    }
  }

  /** What is there, the least recently used first. */
  list(): { readonly key: string; readonly bytes: number; readonly usedAt: Date }[] {
    const { directory } = this.#options;
    if (!exists(directory)) return [];
    return readdirSync(directory)
      .flatMap((name) =>
        /^([0-9a-f]{16}-)?[0-9a-f]{64}$/.test(name) ? (entryUse(directory, name) ?? []) : [],
      )
      .sort((a, b) => a.usedAt - b.usedAt)
      .map(({ name, bytes, usedAt }) => ({ key: name, bytes, usedAt: new Date(usedAt) }));
  }

  /** @throws TandemError failed_precondition naming the first file that is not as it was written */
  verify(key: string): void {
    const dir = join(this.#options.directory, key);
    try {
      verifyEntry({ dir, manifest: readManifest(dir) });
    } catch (error) {
      throw TandemError.from(error, `component cache ${dir}`);
    }
  }

  remove(key: string): void {
    rmSync(join(this.#options.directory, key), { recursive: true, force: true });
  }

  /**
   * Removes what builds have left that were killed: whatever is of one whose lock nobody holds.
   * @throws TandemError
   */
  removeLeftovers(): void {
    const { directory } = this.#options;
    if (!exists(directory)) return;
    this.#onDisk(() => {
      for (const key of new Set(readdirSync(directory).flatMap((name) => keyOfLeftover(name) ?? []))) {
        const unlock = lockFile(join(directory, `${key}${lockSuffix}`), { wait: false });
        if (unlock === undefined) continue;
        try {
          removeTemporary(directory, key);
        } finally {
          unlock();
        }
      }
    });
  }

  /** Removes all of it. */
  clear(): void {
    rmSync(this.#options.directory, { recursive: true, force: true });
  }

  async #build(key: string, build: BuildEntry): Promise<CacheEntry> {
    const { directory } = this.#options;
    const dir = join(directory, key);
    const temporary = this.#onDisk(() => {
      removeTemporary(directory, key);
      return mkdtempSync(join(directory, `${key}${temporaryInfix}`));
    });
    try {
      await build(temporary);
      const manifest = readManifest(temporary);
      verify(temporary, manifest, () => false);
      this.#onDisk(() => renameSync(temporary, dir));
      this.trim(key);
      return { dir, manifest };
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  }

  /** undefined while somebody else builds. */
  #tryLock(key: string): (() => void) | undefined {
    return this.#onDisk(() => {
      mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
      return lockFile(join(this.#options.directory, `${key}${lockSuffix}`), { wait: false });
    });
  }

  #onDisk<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw TandemError.from(error, `component cache ${this.#options.directory}`);
    }
  }

  /** Removes the least recently used entries that are over the bound, and what killed builds have left. */
  trim(justBuilt?: string): void {
    this.removeLeftovers();
    if (!exists(this.#options.directory)) return;
    const { directory, maxBytes } = this.#options;
    const entries = readdirSync(directory).flatMap((name) => entryUse(directory, name) ?? []);
    let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of entries.sort((a, b) => a.usedAt - b.usedAt)) {
      if (total <= maxBytes) return;
      if (entry.name === justBuilt || Date.now() - entry.usedAt < inUseMs) continue;
      rmSync(join(directory, entry.name), { recursive: true, force: true });
      total -= entry.bytes;
    }
  }
}

/**
 * Hashes every file of an entry.
 * @throws TandemError `failed_precondition` naming the first file that is not as it was written
 */
export function verifyEntry(entry: CacheEntry): void {
  verify(entry.dir, entry.manifest, () => true);
}

/**
 * Hashes every file of an entry, and removes it when one is not as it was written. Whether it was removed, or is not there.
 * @throws TandemError when it cannot be read
 */
export function dropIfDamaged(dir: string): boolean {
  try {
    verifyEntry({ dir, manifest: readManifest(dir) });
    return false;
  } catch (error) {
    if (!isDamage(error)) throw TandemError.from(error, `component cache ${dir}`);
    rmSync(dir, { recursive: true, force: true });
    return true;
  }
}

function verify(dir: string, manifest: ComponentManifest, hashed: (name: string) => boolean): void {
  for (const [name, record] of Object.entries(manifest.files)) {
    const path = join(dir, name);
    const stat = lstatSync(path);
    const good =
      stat.isFile() &&
      stat.size === record.size &&
      stat.size <= maxFileBytes &&
      (!hashed(name) || sha256(readFileSync(path)) === record.sha256);
    if (!good) throw new TandemError("failed_precondition", `component cache ${path}: not as it was written`);
  }
}

/** The transpiler may have been taken over by its component: what it leaves is bounded before it is read. */
const maxManifestBytes = 1 << 20;
const maxFileBytes = 512 << 20;

function readManifest(dir: string): ComponentManifest {
  const path = join(dir, "manifest.json");
  const stat = lstatSync(path);
  if (!stat.isFile() || stat.size > maxManifestBytes)
    throw new TandemError("failed_precondition", `component cache ${path}: not a manifest`);
  return parseManifest(readFileSync(path, "utf8"));
}

function parseManifest(text: string): ComponentManifest {
  const value: unknown = JSON.parse(text);
  if (!isManifest(value))
    throw new TandemError("failed_precondition", "component cache: manifest.json is not a manifest");
  return value;
}

function isManifest(value: unknown): value is ComponentManifest {
  if (typeof value !== "object" || value === null) return false;
  const { imports, exports, suspends, functions, files } = value as Partial<
    Record<keyof ComponentManifest, unknown>
  >;
  return (
    isNames(imports) &&
    isNames(exports) &&
    typeof suspends === "boolean" &&
    (functions === undefined || isComponentFunctions(functions)) &&
    isRecords(files) &&
    ("glue.js" in files || planFile in files)
  );
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((name) => typeof name === "string");
}

/** A name that leads out of the entry's directory is not one of ours. */
function isRecords(value: unknown): value is Record<string, FileRecord> {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).every(
    ([name, record]) =>
      /^[\w.-]+$/.test(name) && typeof record?.size === "number" && typeof record?.sha256 === "string",
  );
}

function entryUse(
  directory: string,
  name: string,
): { readonly name: string; readonly bytes: number; readonly usedAt: number } | undefined {
  try {
    const dir = join(directory, name);
    const bytes = readdirSync(dir).reduce((sum, file) => sum + statSync(join(dir, file)).size, 0);
    return { name, bytes, usedAt: statSync(join(dir, "manifest.json")).mtimeMs };
  } catch {
    return undefined; // a lock, an entry in the making, or one that somebody else is removing
  }
}

function keyOfLeftover(name: string): string | undefined {
  return /^(.+?)\.(?:lock|tmp-)/.exec(name)?.[1];
}

/** Of the key's builds. Its lock is the caller's: none of them lives. */
function removeTemporary(directory: string, key: string): void {
  for (const name of readdirSync(directory))
    if (name.startsWith(`${key}${temporaryInfix}`) || name.startsWith(`${key}${lockSuffix}-`))
      rmSync(join(directory, name), { recursive: true, force: true, maxRetries: 3 });
}

/** Whether an entry, rather than the machine, is what is wrong when it cannot be read. */
function isDamage(error: unknown): boolean {
  if (error instanceof TandemError) return error.code === "failed_precondition";
  if (error instanceof SyntaxError) return true;
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENOTDIR";
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
