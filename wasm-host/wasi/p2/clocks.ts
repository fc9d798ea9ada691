import { Pollable } from "./poll.ts";
import { alwaysReady, monotonicNow, type Waiter } from "./waiting.ts";

/** wasi:clocks 0.2: this machine's clocks. Of time zones only UTC is known. */
export function createClocks(waiter: Waiter): Record<string, unknown> {
  const subscribeInstant = (deadline: bigint): Pollable =>
    new Pollable(
      deadline <= monotonicNow() ? alwaysReady : { ready: () => monotonicNow() >= deadline, deadline },
      waiter,
    );
  return {
    "wasi:clocks/monotonic-clock": {
      now: monotonicNow,
      resolution: () => 1n,
      subscribeInstant,
      // u64 addition must not wrap: a deadline beyond 2^64 never comes either way.
      subscribeDuration: (duration: bigint) => subscribeInstant(monotonicNow() + duration),
    },
    "wasi:clocks/wall-clock": { now: wallClockNow, resolution: () => ({ seconds: 0n, nanoseconds: 1000 }) },
    "wasi:clocks/timezone": {
      display: () => ({ utcOffset: 0, name: "UTC", inDaylightSavingTime: false }),
      utcOffset: () => 0,
    },
  };
}

/** Since 1970, in UTC. */
export function wallClockNow(): { readonly seconds: bigint; readonly nanoseconds: number } {
  // The fraction of performance.now is finer than Date.now, and its origin is the zygote's: only Date is right after a fork.
  const milliseconds = Date.now();
  return { seconds: BigInt(Math.floor(milliseconds / 1000)), nanoseconds: (milliseconds % 1000) * 1_000_000 };
}
