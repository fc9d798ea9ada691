import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, workerData } from "node:worker_threads";
import { TandemError } from "./errors.ts";

/** The addon `tandem-code` (native/code/code.cc): what of V8 only its own interface offers. */
export interface NativeCode {
  /** The Node that it was built for, as `process.version` has it. */
  readonly builtFor: string;
  /** The optimised code of a module; empty when it has none. */
  serialize(module: WebAssembly.Module): ArrayBuffer;
  /** undefined when it is not this V8's. Both are taken on trust: valid bytes, and code that V8 has written for them. */
  deserialize(bytes: Uint8Array, code: Uint8Array): WebAssembly.Module | undefined;
  /** The URL by which stacks name the module, and a copy of its bytes. */
  source(module: WebAssembly.Module): readonly [url: string, bytes: ArrayBuffer];
  /** When V8 has no room left, the process ends as by a trap, with a line on stderr, and tells the status pipe unless that is -1. */
  endWhenHeapIsFull(statusPipe: number): void;
  /** Bytes that a guest may use of the main thread's stack: what RLIMIT_STACK allows, 64 MB at most, less what the host needs. */
  stackSize(): number;
  /** WebAssembly and JavaScript may go so many bytes deeper than this call, on its thread. Taken on trust: so much stack there has to be. */
  useStack(bytes: number): void;
}

/** What whoever makes a worker puts in its workerData, so that it finds this addon too without looking for a file (native.ts). */
export interface CodeAddonOfWorker {
  readonly codeAddon: string | undefined;
}

interface Loaded {
  readonly addon: NativeCode;
  readonly path: string;
}

let loaded: Loaded | undefined;

/**
 * Found as the other addon is (native.ts), but nothing depends on it: whoever has none compiles.
 * @throws TandemError unavailable with the reason
 */
export function loadNativeCode(): NativeCode {
  loaded ??= !isMainThread && isTold(workerData) ? loadAgain(workerData) : load();
  return loaded.addon;
}

/** The addon, for those who can do without it. */
export function findNativeCode(): NativeCode | undefined {
  try {
    return loadNativeCode();
  } catch (error) {
    if (error instanceof TandemError && error.code === "unavailable") return undefined;
    throw error;
  }
}

/** Where it was loaded from; undefined when there is none for this Node. */
export function codeAddonPath(): string | undefined {
  findNativeCode();
  return loaded?.path;
}

function isTold(data: unknown): data is CodeAddonOfWorker {
  return typeof data === "object" && data !== null && "codeAddon" in data;
}

function loadAgain({ codeAddon }: CodeAddonOfWorker): Loaded {
  if (codeAddon === undefined) throw new TandemError("unavailable", "the process has not loaded tandem-code");
  const module: { exports: Partial<NativeCode> } = { exports: {} };
  process.dlopen(module, codeAddon);
  return { addon: module.exports as NativeCode, path: codeAddon };
}

function load(): Loaded {
  const require = createRequire(import.meta.url);
  const here = dirname(fileURLToPath(import.meta.url));
  const failures: string[] = [];
  for (const path of [
    join(here, "tandem-code.node"),
    join(here, "../native/build/Release/tandem-code.node"),
  ]) {
    try {
      const addon = require(path) as NativeCode;
      if (addon.builtFor === process.version) return { addon, path };
      failures.push(`${path}: was built for Node ${addon.builtFor}, this is ${process.version}`);
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    }
  }
  throw new TandemError("unavailable", failures.join("; "));
}
