import { TandemError } from "../src/errors.ts";
import { exitStatuses } from "./exit.ts";
import { tellMemory } from "./limits/tell-memory.ts";
import { type Linking, linkImports } from "./link.ts";
import { reportTrap } from "./report.ts";
import { isTrap } from "./trap.ts";
import { unwind } from "./unwind.ts";

/** The exit status that an instance ended its guest with, by proc_exit or a trap; undefined when its function has returned. */
export type Outcome = number | undefined;

/** Makes an instance and has `enter` call it. */
export type RunInstance = (enter: (exports: WebAssembly.Exports) => void) => Outcome;

export interface InstanceOptions extends Omit<Linking, "memory" | "onExit"> {
  /** The file beside the module that may be its source map. */
  readonly sourceMap?: number | undefined;
  /** Called before anything is said about the end of the guest; the first thread does not come back from it twice. */
  readonly beforeEnd?: () => void;
}

/**
 * Links a module; nothing of the guest runs before the returned function is called. That one reports a trap on the granted stderr.
 * @throws TandemError unimplemented for an import that nobody grants; when run, resource_exhausted when there is no room for the
 * module's memory, invalid_argument for one with addresses of 64 bits, which WASI 0.1 has not, and whatever went wrong in the host
 */
export function prepareInstance(module: WebAssembly.Module, options: InstanceOptions): RunInstance {
  const { grant, memories, sourceMap, beforeEnd } = options;
  const ended: { status?: number } = {};
  const memory: Linking["memory"] = { current: memories[0]?.memory };
  const onExit = (status: number): never => {
    ended.status ??= status;
    return unwind();
  };
  /** How it ended, with what may be the reason when that is no success. */
  const ending = (status: number): number => {
    if (status !== 0)
      tellMemory(
        grant.limits ?? {},
        memory.current === undefined ? [] : [memory.current],
        grant.stdio.stderr,
      );
    return status;
  };
  const imports = linkImports(module, { ...options, memory, onExit });
  return (enter) => {
    try {
      const { exports } = new WebAssembly.Instance(module, imports);
      memory.current = toMemory(exports) ?? memory.current;
      requirePointers(module, memory.current);
      enter(exports);
      return undefined;
    } catch (error) {
      beforeEnd?.();
      if (ended.status !== undefined) return ending(ended.status);
      if (!isTrap(error)) throw hostFailure(error);
      reportTrap(grant.stdio.stderr, error, { modules: [module], sourceMap });
      return ending(exitStatuses.trap);
    }
  };
}

function toMemory({ memory }: WebAssembly.Exports): WebAssembly.Memory | undefined {
  return memory instanceof WebAssembly.Memory ? memory : undefined;
}

/** The pointers of WASI 0.1 have 32 bits. */
function requirePointers(module: WebAssembly.Module, memory: WebAssembly.Memory | undefined): void {
  if (memory === undefined || !hasLongAddresses(memory)) return;
  const wasi = WebAssembly.Module.imports(module).find(({ module: from }) => from.startsWith("wasi_"));
  if (wasi !== undefined)
    throw new TandemError(
      "unimplemented",
      `module has a memory with 64-bit addresses and imports ${wasi.module}.${wasi.name}, whose pointers have 32 bits`,
    );
}

/** Nothing else tells: such a memory counts its pages in BigInts. */
function hasLongAddresses(memory: WebAssembly.Memory): boolean {
  try {
    memory.grow(0);
    return false;
  } catch (error) {
    if (error instanceof TypeError) return true;
    throw error;
  }
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
