import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sha256 } from "../src/code/code-entry.ts";
import { TandemError } from "../src/errors.ts";
import { type ComponentManifest, planFile } from "../src/image/compile-cache.ts";
import type { LinkPlan } from "../src/image/link/plan.ts";

interface CommonFiles {
  readonly manifest: ComponentManifest;
  readonly modules: ReadonlyMap<string, Uint8Array>;
}

/** A component as jco's glue puts it together. */
export interface GluedFiles extends CommonFiles {
  readonly glue: string;
  readonly codeCache: Buffer;
}

/** A component as a plan has it put together. */
export interface LinkedFiles extends CommonFiles {
  readonly plan: LinkPlan;
}

/** A transpiled component, in memory: a process that has lost its file system can load it. */
export type TranspiledFiles = GluedFiles | LinkedFiles;

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
    const fds = new Map(Object.keys(manifest.files).map((name) => [name, openSync(join(dir, name), "r")]));
    const read = (name: string): Buffer => {
      const fd = fds.get(name);
      if (fd === undefined) throw new TandemError("internal", `component ${dir}: ${name} is missing`);
      return readWhole(fd);
    };
    return {
      manifest,
      fds: [...fds.values()],
      read: () => {
        const names = [...fds.keys()].filter((name) => name.endsWith(".wasm"));
        const common = { manifest, modules: new Map(names.map((name) => [name, read(name)])) };
        return fds.has(planFile)
          ? { ...common, plan: JSON.parse(read(planFile).toString()) as LinkPlan }
          : { ...common, glue: read("glue.js").toString("latin1"), codeCache: read("glue.cache") };
      },
    };
  } catch (error) {
    throw TandemError.from(error, `component ${dir}`);
  }
}

/** @throws TandemError when a file cannot be read */
export function readTranspiled(dir: string): TranspiledFiles {
  return openTranspiled(dir).read();
}

/**
 * @returns the sha256 of a file of an entry, in hexadecimal
 * @throws TandemError failed_precondition when it is not what the manifest says: the entry has to be made anew
 */
export function requireRecorded({ files }: ComponentManifest, name: string, bytes: Uint8Array): string {
  const digest = sha256(bytes);
  if (digest !== files[name]?.sha256) {
    throw new TandemError(
      "failed_precondition",
      `component cache: ${name} has sha256 ${digest}, ${files[name]?.sha256} was written`,
    );
  }
  return digest;
}

/** From the beginning to the end, and closes it. */
export function readWhole(fd: number): Buffer {
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
