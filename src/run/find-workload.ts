import { closeSync, fstatSync, readSync } from "node:fs";
import type { Workload } from "../../wasm-host/config.ts";
import { directories } from "../directories.ts";
import { shown, TandemError } from "../errors.ts";
import { digestOf } from "../image/digest-of.ts";
import { ensureTranspiled } from "../image/transpile.ts";
import { isWat, WASM_HEAD_LENGTH, wasmForm } from "../image/wasm-form.ts";
import { native } from "../native.ts";

export interface FoundWorkload {
  readonly workload: Workload;
  /** A component's own exports; undefined of a module. */
  readonly exports: readonly string[] | undefined;
}

/**
 * Looks at what is to be run. A component is transpiled, unless the cache has it.
 *
 * @param path absolute
 * @throws TandemError not_found; invalid_argument for what is no wasm binary; as `ensureTranspiled` does
 */
export async function findWorkload(
  path: string,
  entry: string | undefined,
  signal: AbortSignal,
): Promise<FoundWorkload> {
  const fd = openFile(path);
  try {
    const form = formOf(fd, path);
    if (form === "module")
      return { workload: { form, file: ["/", path], export: entry }, exports: undefined };
    const { dir, manifest } = await ensureTranspiled({
      // By descriptor: the file may be exchanged between our look and the worker's.
      path: `/proc/${native.getpid()}/fd/${fd}`,
      name: shown(path),
      digest: digestOf(fd),
      stateDir: directories.state,
      walled: true,
      // A link plan knows of nothing but what is served.
      glue: entry !== undefined,
      signal,
    });
    return { workload: { form, transpiled: dir, export: entry }, exports: manifest.exports };
  } finally {
    closeSync(fd);
  }
}

function openFile(path: string): number {
  try {
    return native.openInRoot("/", path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const failure = TandemError.from(error);
    const why = code === "EINVAL" ? "is no regular file" : failure.message.replace(/^.*: /, "");
    throw new TandemError(failure.code, `${shown(path)}: ${why}`, { cause: error });
  }
}

function formOf(fd: number, path: string): "module" | "component" {
  const head = Buffer.alloc(WASM_HEAD_LENGTH);
  // The kernel's own files have no length: reading one may take for ever, and everybody else's calls with it.
  if (fstatSync(fd).size === 0) throw notWasm(path);
  const read = head.subarray(0, readSync(fd, head, 0, head.length, 0));
  const form = wasmForm(read);
  if (form !== undefined) return form;
  if (isWat(read)) {
    throw new TandemError(
      "unimplemented",
      `${shown(path)}: is WebAssembly text (.wat), which is not run: translate it to a binary first (wat2wasm, wasm-tools parse)`,
    );
  }
  throw notWasm(path);
}

function notWasm(path: string): TandemError {
  return new TandemError("invalid_argument", `${shown(path)}: neither a wasm module nor a component`);
}
