import type { AddonOfWorker } from "../../src/native.ts";
import type { CodeAddonOfWorker } from "../../src/native-code.ts";
import type { Grant } from "../grant.ts";
import type { ImportedMemory } from "./imported-memories.ts";

/** What a thread's worker is told. All threads of a guest share the memory of all that is shared here. */
export interface ThreadData extends AddonOfWorker, CodeAddonOfWorker {
  readonly module: WebAssembly.Module;
  readonly memories: readonly ImportedMemory[];
  readonly grant: Grant;
  /** Of `createSharedTable`. */
  readonly table: SharedArrayBuffer;
  /** Of `createThreadSlots`. */
  readonly slots: SharedArrayBuffer;
  /** What the grant limits, as far as it is used up. */
  readonly usage: SharedArrayBuffer;
  /** Which of them is this worker's; its first thread is in it. */
  readonly slot: number;
  readonly host: ThreadHost;
  readonly sourceMap: number | undefined;
  /** Whether what it is denied is told. */
  readonly tellsDenials: boolean;
}

/** What the process has for its guest's threads. */
export interface ThreadHost {
  /** The worker's program: its text, or where it is. */
  readonly program: { readonly text: string } | { readonly url: string };
  /** Who is told the status when a thread ends the process: the pipe of config.ts. */
  readonly statusPipe: number | undefined;
  /** What each thread gets of call stack (guestStackBytes). */
  readonly stackBytes?: number | undefined;
}
