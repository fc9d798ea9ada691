import { sweep } from "./sweep.ts";
import { monotonicNow, type Source } from "./waiting.ts";

/**
 * What goes on beside a guest until it is ready: bytes that it has handed over and the kernel has not taken yet. Each with what ends
 * the event loop's watch over it.
 */
export const chores = new Map<Source, () => void>();

export function endChore(source: Source): void {
  chores.get(source)?.();
  chores.delete(source);
}

/** A peer that takes nothing for so long after the guest's end gets nothing more. */
const longestMs = 10_000;

/** Waits with the thread, at the end of a process, until what its guest has written has left. */
export function finishChores(limitMs = longestMs): void {
  const deadline = monotonicNow() + BigInt(limitMs) * 1_000_000n;
  const timeUp: Source = { ready: () => monotonicNow() >= deadline, deadline };
  while (chores.size > 0 && !timeUp.ready()) {
    const sources = [...chores.keys(), timeUp];
    for (const index of sweep(sources, true)) endChore(sources[index] ?? timeUp);
  }
}
