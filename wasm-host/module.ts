import { writeSync } from "node:fs";
import { TandemError } from "../src/errors.ts";
import { detectWasm, hasMagic, wasmPreambleLength } from "./detect.ts";
import { exitStatuses } from "./exit.ts";
import type { Grant } from "./grant.ts";
import { trapReport } from "./trap.ts";
import { unwind } from "./unwind.ts";
import { DescriptorTable } from "./wasi/p1/descriptor.ts";
import { wasiImports } from "./wasi/p1/imports.ts";
import { State } from "./wasi/p1/state.ts";

/**
 * Compiles a core module.
 * @throws TandemError invalid_argument with one line that names the cause: not wasm, truncated, a component, invalid, or a
 * feature that the engine lacks (unimplemented)
 */
export function compileModule(bytes: Uint8Array): WebAssembly.Module {
  if (!hasMagic(bytes))
    throw new TandemError("invalid_argument", `not a WebAssembly module: it begins with ${hex(bytes)}`);
  if (bytes.length < wasmPreambleLength) {
    throw new TandemError("invalid_argument", `module is truncated: ${bytes.length} bytes`);
  }
  if (detectWasm(bytes) === "component") {
    throw new TandemError("invalid_argument", "a component, where a core module is expected");
  }
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    throw compileFailure(error);
  }
}

function hex(bytes: Uint8Array): string {
  return bytes.length === 0 ? "nothing" : Buffer.from(bytes.subarray(0, 4)).toString("hex");
}

/** V8 says it all in one message; which of our three causes it means shows in its words. */
function compileFailure(error: unknown): TandemError {
  const text = error instanceof Error ? error.message : String(error);
  const detail = (text.split("\n", 1)[0] ?? "").replace("WebAssembly.Module(): ", "");
  if (/out of memory|exceeds.*(maximum|limit)|is larger than the maximum/i.test(detail)) {
    return new TandemError("resource_exhausted", `module is too large: ${detail}`, { cause: error });
  }
  if (
    /fell off end|past end|out of bounds|reached end|extends beyond|expected \d+ bytes?, fell/i.test(detail)
  ) {
    return new TandemError("invalid_argument", `module is truncated: ${detail}`, { cause: error });
  }
  if (
    /enable with|--experimental|invalid (\w+ )?opcode|unknown section code|invalid value type|not supported/i.test(
      detail,
    )
  ) {
    return new TandemError("unimplemented", `module needs an unsupported feature: ${detail}`, {
      cause: error,
    });
  }
  return new TandemError("invalid_argument", `module is invalid: ${detail}`, { cause: error });
}

export interface RunModuleOptions {
  /** Called instead of `_start`; `_initialize` runs before it. Its arguments are grant.args after the program's name. */
  readonly export?: string;
}

/**
 * Checks that the module can run in this grant, and returns the call that runs it. Nothing of the guest runs before that call.
 * @throws TandemError unimplemented for an import that nobody grants, not_found when there is no such entry
 */
export function prepareModule(
  module: WebAssembly.Module,
  grant: Grant,
  options: RunModuleOptions = {},
): () => number {
  const entry = findEntry(module, options.export);
  const ended: { status?: number } = {};
  const memory: { current?: WebAssembly.Memory } = {};
  const onExit = (status: number): never => {
    ended.status ??= status;
    return unwind();
  };
  const imports = linkImports(module, { grant, memory, onExit });
  return () => {
    try {
      const { exports } = new WebAssembly.Instance(module, imports);
      const { memory: exported } = exports;
      if (exported instanceof WebAssembly.Memory) memory.current = exported;
      enter(exports, entry, grant);
      return 0;
    } catch (error) {
      if (ended.status !== undefined) return ended.status;
      const report = trapReport(error);
      if (report === undefined) throw hostFailure(error);
      print(grant.stdio.stderr, report);
      return exitStatuses.trap;
    }
  };
}

/**
 * Runs a module in a grant to its end, blocking the thread. Returns its exit status; a trap is reported on the granted stderr
 * and gives exitStatuses.trap. The guest owns the grant's descriptors.
 * @throws TandemError as `prepareModule` does, and invalid_argument for an argument of a named export that is no number,
 * resource_exhausted when there is no room for the module's memory
 */
export function runModule(module: WebAssembly.Module, grant: Grant, options: RunModuleOptions = {}): number {
  return prepareModule(module, grant, options)();
}

function enter(exports: WebAssembly.Exports, entry: string, grant: Grant): void {
  if (entry === "_start") {
    callExport(exports, entry, []);
    return;
  }
  const { _initialize: initialize } = exports;
  const args = parseArguments(entry, grant.args.slice(1), exports);
  if (typeof initialize === "function" && entry !== "_initialize") callExport(exports, "_initialize", []);
  printResult(grant, callExport(exports, entry, args));
}

/** What is neither the guest's exit nor its trap. */
function hostFailure(error: unknown): TandemError {
  if (error instanceof RangeError) {
    return new TandemError("resource_exhausted", `module cannot be instantiated: ${error.message}`, {
      cause: error,
    });
  }
  // The one conversion that refuses: a fraction where the export takes an i64.
  if (error instanceof SyntaxError)
    return new TandemError("invalid_argument", error.message, { cause: error });
  return TandemError.from(error);
}

function findEntry(module: WebAssembly.Module, name: string | undefined): string {
  const functions = WebAssembly.Module.exports(module).filter(({ kind }) => kind === "function");
  const has = (wanted: string): boolean => functions.some((one) => one.name === wanted);
  if (name !== undefined) {
    if (has(name)) return name;
    throw new TandemError("not_found", `module has no exported function ${name}`);
  }
  if (has("_start")) return "_start";
  if (has("_initialize")) throw new TandemError("not_found", "module is a reactor: name the export to run");
  throw new TandemError("not_found", "module has no _start: it is no command");
}

interface Linking {
  readonly grant: Grant;
  readonly memory: { current?: WebAssembly.Memory };
  readonly onExit: (status: number) => never;
}

/** The imports that the module asks for, and nothing else is offered. */
function linkImports(module: WebAssembly.Module, linking: Linking): WebAssembly.Imports {
  const imports: WebAssembly.Imports = {};
  const table = new DescriptorTable(linking.grant);
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    const unstable = from === "wasi_unstable";
    const known = unstable || from === "wasi_snapshot_preview1";
    if (known) imports[from] ??= wasiImports(new State({ ...linking, table, unstable }));
    if (!known || kind !== "function" || imports[from]?.[name] === undefined) {
      throw new TandemError("unimplemented", `module imports ${from}.${name} (${kind}), which nobody grants`);
    }
  }
  return imports;
}

function callExport(exports: WebAssembly.Exports, name: string, args: readonly string[]): unknown {
  const entry = exports[name];
  if (typeof entry !== "function") throw new TandemError("internal", `export ${name} vanished`);
  return entry(...args);
}

const number = /^[+-]?(\d+(\.\d*)?(e[+-]?\d+)?|infinity)$|^nan$|^0x[0-9a-f]+$/i;

/**
 * The arguments of a named export stay strings: the conversion that WebAssembly's JavaScript API prescribes makes of "7" an i32,
 * an i64 or a float, as the parameter's type has it, and only that it is a number has to be seen to here.
 */
function parseArguments(
  name: string,
  args: readonly string[],
  exports: WebAssembly.Exports,
): readonly string[] {
  const entry = exports[name];
  const wanted = typeof entry === "function" ? entry.length : 0;
  if (args.length !== wanted) {
    throw new TandemError("invalid_argument", `export ${name} takes ${wanted} arguments, not ${args.length}`);
  }
  const wrong = args.find((text) => !number.test(text));
  if (wrong !== undefined)
    throw new TandemError("invalid_argument", `export ${name}: "${wrong}" is not a number`);
  return args;
}

/** One result a line, as `wasmtime --invoke` prints them. */
function printResult(grant: Grant, result: unknown): void {
  const results = Array.isArray(result) ? result : result === undefined ? [] : [result];
  if (results.length > 0) print(grant.stdio.stdout, `${results.map(String).join("\n")}\n`);
}

function print(fd: number, text: string): void {
  try {
    writeSync(fd, text);
  } catch (error) {
    // Nobody reads any more, or the guest closed it: the exit status still tells.
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
