import { writeSync } from "node:fs";
import { TandemError } from "../src/errors.ts";
import { exitStatuses } from "./exit.ts";
import type { Grant } from "./grant.ts";
import { callExport, prepareCall } from "./invoke/named-export.ts";
import { linkImports } from "./link.ts";
import { trapReport } from "./trap.ts";
import { unwind } from "./unwind.ts";

/** A compiled core module. Its bytes are looked at by `prepareModule` only, and only if the module cannot answer itself. */
export interface CompiledModule {
  readonly module: WebAssembly.Module;
  readonly bytes: Uint8Array;
}

export interface RunModuleOptions {
  /** Called instead of `_start`; `_initialize` runs before it. Its arguments are grant.args after the program's name. */
  readonly export?: string;
}

/**
 * Checks that the module can run in this grant, and returns the call that runs it. Nothing of the guest runs before that call.
 * @throws TandemError unimplemented for an import that nobody grants, not_found when there is no such entry, invalid_argument for
 * arguments that it does not take
 */
export function prepareModule(
  compiled: CompiledModule,
  grant: Grant,
  options: RunModuleOptions = {},
): () => number {
  const { module } = compiled;
  const enter = prepareEntry(compiled, grant, options.export);
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
      enter(exports);
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
 * @throws TandemError as `prepareModule` does, and resource_exhausted when there is no room for the module's memory
 */
export function runModule(compiled: CompiledModule, grant: Grant, options: RunModuleOptions = {}): number {
  return prepareModule(compiled, grant, options)();
}

type Enter = (exports: WebAssembly.Exports) => void;

function prepareEntry(compiled: CompiledModule, grant: Grant, wanted: string | undefined): Enter {
  const exported = WebAssembly.Module.exports(compiled.module);
  const has = (name: string): boolean => exported.some((one) => one.name === name && one.kind === "function");
  if (wanted === undefined || wanted === "_start") {
    if (has("_start")) return (exports) => callExport(exports, "_start", []);
    if (wanted !== undefined) throw new TandemError("not_found", "module has no exported function _start");
    if (has("_initialize"))
      throw new TandemError(
        "not_found",
        "module is a reactor: name the export to run, as in module.wasm#name",
      );
    throw new TandemError("not_found", "module has no _start: it is no command");
  }
  const call = prepareCall(compiled.bytes, wanted, grant.args.slice(1));
  return (exports) => {
    if (wanted !== "_initialize" && has("_initialize")) callExport(exports, "_initialize", []);
    print(grant.stdio.stdout, call(exports));
  };
}

/** What is neither the guest's exit nor its trap. */
function hostFailure(error: unknown): TandemError {
  if (error instanceof RangeError) {
    return new TandemError("resource_exhausted", `module cannot be instantiated: ${error.message}`, {
      cause: error,
    });
  }
  return TandemError.from(error);
}

function print(fd: number, text: string): void {
  try {
    if (text !== "") writeSync(fd, text);
  } catch (error) {
    // Nobody reads any more, or the guest closed it: the exit status still tells.
    if (!(error instanceof Error && "code" in error)) throw error;
  }
}
