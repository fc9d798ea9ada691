import { TandemError } from "../src/errors.ts";
import type { Grant } from "./grant.ts";
import { prepareInstance } from "./instance.ts";
import { callExport, prepareCall } from "./invoke/named-export.ts";
import { usage } from "./limits/usage.ts";
import { writeResult } from "./report.ts";
import { createImportedMemories } from "./threads/imported-memories.ts";
import type { ThreadHost } from "./threads/thread-data.ts";
import { prepareThreads } from "./threads/threads.ts";

/** A compiled core module. Its bytes are looked at by `prepareModule` only, and only if the module cannot answer itself. */
export interface CompiledModule {
  readonly module: WebAssembly.Module;
  readonly bytes: Uint8Array;
}

export interface RunModuleOptions {
  /** Called instead of `_start`; `_initialize` runs before it. Its arguments are grant.args after the program's name. */
  readonly export?: string | undefined;
  /** For modules that make threads. When the guest has ended, its threads go with the process only. */
  readonly threads?: ThreadHost | undefined;
  /** A descriptor of the file beside the module that may be its source map. */
  readonly sourceMap?: number | undefined;
}

/**
 * Checks that the module can run in this grant, and returns the call that runs it. Nothing of the guest runs before that call.
 * @throws TandemError unimplemented for an import that nobody grants, not_found when there is no such entry, invalid_argument for
 * arguments that it does not take, resource_exhausted when there is no room for a memory that it imports
 */
export function prepareModule(
  compiled: CompiledModule,
  grant: Grant,
  options: RunModuleOptions = {},
): () => number {
  const { module } = compiled;
  const enter = prepareEntry(compiled, grant, options.export);
  const memories = createImportedMemories(compiled);
  const { sourceMap } = options;
  const threads = prepareThreads(module, { grant, memories, host: options.threads, sourceMap });
  const run = prepareInstance(module, {
    grant,
    memories,
    threads,
    sourceMap,
    beforeEnd: () => threads?.slots.beginEnd(),
  });
  if (threads !== undefined) usage.beforeEnd = () => threads.slots.beginEnd();
  return () => {
    usage.instantiate();
    return run(enter) ?? 0;
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
    writeResult(grant.stdio.stdout, call(exports));
  };
}
