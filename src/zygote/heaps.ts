import { queryObjects } from "node:v8";
import { native } from "../native.ts";

/**
 * Leaves nothing to be done to the heaps by a child, whose every write to them copies a page: no garbage of the rehearsal, no
 * finalizer of it that is still to run, no page that is still to be swept, no holes in the C heap.
 */
export async function settleHeaps(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.();
    // Finalizers of native objects run in the turn after the collection.
    await new Promise((resolve) => setImmediate(resolve));
  }
  // Walks the heap, for which V8 first finishes sweeping.
  queryObjects(SettleMarker, { format: "count" });
  native.fillHeapHoles();
}

class SettleMarker {}
