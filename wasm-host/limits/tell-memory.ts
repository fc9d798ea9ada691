import type { Limits } from "../grant.ts";
import { writeLine } from "../report.ts";
import { limitNames } from "./limit-names.ts";

/**
 * A guest has failed: says how much of its memory it had by then, if that is limited and most of it was in use. V8 tells nobody that a
 * memory could not grow; what becomes of a guest that could not, is its own affair, but who looks for the reason should find it.
 */
export function tellMemory(
  { memoryBytes }: Limits,
  memories: Iterable<WebAssembly.Memory>,
  stderr: number | undefined,
): void {
  if (memoryBytes === undefined) return;
  let used = 0;
  for (const { buffer } of memories) used += buffer.byteLength;
  if (used * 2 < memoryBytes) return;
  writeLine(stderr, `tandem: ${limitNames.memoryBytes}: it had ${used} of ${memoryBytes} bytes of memory`);
}
