import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../src/errors.ts";
import type { ComponentManifest } from "../src/image/compile-cache.ts";

/** A transpiled component, in memory: a process that has lost its file system can load it. */
export interface TranspiledFiles {
  readonly manifest: ComponentManifest;
  readonly glue: string;
  readonly codeCache: Buffer;
  readonly modules: ReadonlyMap<string, Uint8Array>;
}

/** A transpiled component whose files are open and not read yet. */
export interface OpenComponent {
  readonly manifest: ComponentManifest;
  readonly fds: readonly number[];
  /** Reads and closes them. */
  read(): TranspiledFiles;
}

/**
 * Opens an entry of the component cache (src/image/compile-cache.ts).
 * @throws TandemError when a file cannot be opened
 */
export function openTranspiled(dir: string): OpenComponent {
  try {
    const manifest = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as ComponentManifest;
    const names = Object.keys(manifest.files).filter((name) => name.endsWith(".wasm"));
    const glue = openSync(join(dir, "glue.js"), "r");
    const codeCache = openSync(join(dir, "glue.cache"), "r");
    const modules = names.map((name) => [name, openSync(join(dir, name), "r")] as const);
    return {
      manifest,
      fds: [glue, codeCache, ...modules.map(([, fd]) => fd)],
      read: () => ({
        manifest,
        glue: readWhole(glue).toString("latin1"),
        codeCache: readWhole(codeCache),
        modules: new Map(modules.map(([name, fd]) => [name, readWhole(fd)])),
      }),
    };
  } catch (error) {
    throw TandemError.from(error, `component ${dir}`);
  }
}

/** @throws TandemError when a file cannot be read */
export function readTranspiled(dir: string): TranspiledFiles {
  return openTranspiled(dir).read();
}

/** From the beginning to the end, and closes it. */
export function readWhole(fd: number): Buffer {
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
