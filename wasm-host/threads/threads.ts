import { type ResourceLimits, Worker } from "node:worker_threads";
import { TandemError } from "../../src/errors.ts";
import { addonPath } from "../../src/native.ts";
import { codeAddonPath } from "../../src/native-code.ts";
import { denials } from "../debug/denials.ts";
import type { Grant } from "../grant.ts";
import { guestStackBytes, STACK_RESERVE } from "../guest-stack.ts";
import { usage } from "../limits/usage.ts";
import type { ImportedMemory } from "./imported-memories.ts";
import { createSharedTable, SharedTable } from "./shared-table.ts";
import type { ThreadData, ThreadHost } from "./thread-data.ts";
import { createThreadSlots, ThreadSlots } from "./thread-slots.ts";

/** wasi-threads: the export that a thread begins with. */
export const threadEntry = "wasi_thread_start";

/** wasi-threads: the import that makes a thread. */
export function isSpawn({ module, name }: { readonly module: string; readonly name: string }): boolean {
  return module === "wasi" && name === "thread-spawn";
}

const EAGAIN = 6;

/** The threads of a guest, as one of them sees them. Each has an instance of the module and a worker of its own. */
export class Threads {
  readonly table: SharedTable;
  readonly slots: ThreadSlots;
  readonly #data: Omit<ThreadData, "slot">;

  constructor(data: Omit<ThreadData, "slot">) {
    this.#data = data;
    this.table = new SharedTable(data.table, data.grant);
    this.slots = new ThreadSlots(data.slots);
  }

  /** wasi.thread-spawn: the new thread's identifier, or a negative errno. */
  readonly spawn = (argument: number): number => {
    usage.instantiate();
    const place = this.slots.take(argument);
    if (place === undefined) return this.#noThread();
    if (place.isNew && !startWorker({ ...this.#data, slot: place.slot })) {
      this.slots.giveBack(place.slot);
      return this.#noThread();
    }
    return place.identifier;
  };

  #noThread(): number {
    usage.dropped();
    return -EAGAIN;
  }
}

/**
 * undefined for a module that does not ask for threads.
 * @throws TandemError invalid_argument for one that does but is not made for them, unimplemented for a grant that is the same in
 * every run, which threads are not
 */
export function prepareThreads(module: WebAssembly.Module, options: ThreadOptions): Threads | undefined {
  if (!WebAssembly.Module.imports(module).some(isSpawn)) return undefined;
  const { grant, memories, host, sourceMap } = options;
  const exported = WebAssembly.Module.exports(module);
  if (!exported.some(({ name, kind }) => name === threadEntry && kind === "function"))
    throw new TandemError(
      "invalid_argument",
      `module makes threads but has no exported function ${threadEntry}`,
    );
  if (memories.length === 0)
    throw new TandemError("invalid_argument", "module makes threads but imports no shared memory");
  if (grant.clocks !== undefined || grant.random !== undefined)
    throw new TandemError(
      "unimplemented",
      "module makes threads: made-up clocks and seeded random numbers are for guests with one thread",
    );
  if (host === undefined)
    throw new TandemError("internal", "module makes threads, and nobody is there to run them");
  const [table, slots] = [createSharedTable(grant), createThreadSlots()];
  return new Threads({
    ...{ module, memories, grant, table, slots, host, sourceMap, tellsDenials: denials.isOn },
    usage: usage.cells,
    ...{ addon: addonPath, codeAddon: codeAddonPath() },
  });
}

export interface ThreadOptions {
  readonly grant: Grant;
  /** Shared memories that the module imports. */
  readonly memories: readonly ImportedMemory[];
  readonly host: ThreadHost | undefined;
  readonly sourceMap: number | undefined;
}

/** false when there is no thread, or no memory, left to be had. */
function startWorker(workerData: ThreadData): boolean {
  const { program, stackBytes } = workerData.host;
  const resourceLimits = stackLimits(guestStackBytes(stackBytes));
  const options = { workerData, env: {}, stdin: false, trackUnmanagedFds: false, resourceLimits } as const;
  try {
    const worker =
      "text" in program
        ? new Worker(program.text, { ...options, eval: true })
        : new Worker(new URL(program.url), options);
    // It never ends before the process does; what went wrong in it, it says itself.
    worker.unref();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_INIT_FAILED") return false;
    throw error;
  }
}

/** Node's default is 4 MB for the whole stack, whatever RLIMIT_STACK says. */
function stackLimits(bytes: number | undefined): ResourceLimits {
  return bytes === undefined ? {} : { stackSizeMb: (bytes + STACK_RESERVE) / 2 ** 20 };
}
