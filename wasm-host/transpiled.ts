import { readFileSync } from "node:fs";
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

/**
 * Reads an entry of the component cache (src/image/compile-cache.ts).
 * @throws TandemError when a file cannot be read
 */
export function readTranspiled(dir: string): TranspiledFiles {
  try {
    const manifest = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as ComponentManifest;
    const names = Object.keys(manifest.files).filter((name) => name.endsWith(".wasm"));
    return {
      manifest,
      glue: readFileSync(join(dir, "glue.js"), "latin1"),
      codeCache: readFileSync(join(dir, "glue.cache")),
      modules: new Map(names.map((name) => [name, readFileSync(join(dir, name))])),
    };
  } catch (error) {
    throw TandemError.from(error, `component ${dir}`);
  }
}
