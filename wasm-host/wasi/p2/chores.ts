import { sweep } from "./sweep.ts";
import { monotonicNow, type Source } from "./waiting.ts";

/** What goes on beside a guest until it is ready: bytes that it has handed over and the kernel has not taken yet. */
export const chores = new Set<Source>();

/** A peer that takes nothing for so long after the guest's end gets nothing more. */
const longestMs = 10_000;

/** Waits with the thread, at the end of a process, until what its guest has written has left. */
export function finishChores(limitMs = longestMs): void {
  const deadline = monotonicNow() + BigInt(limitMs) * 1_000_000n;
  const timeUp: Source = { ready: () => monotonicNow() >= deadline, deadline };
  while (chores.size > 0 && !timeUp.ready()) {
    const sources = [...chores, timeUp];
    for (const index of sweep(sources, true)) chores.delete(sources[index] ?? timeUp);
  }
}
