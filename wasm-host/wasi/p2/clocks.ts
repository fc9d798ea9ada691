import type { GuestClock } from "./guest-clock.ts";
import { Pollable } from "./poll.ts";
import type { Waiter } from "./waiting.ts";

const second = 1_000_000_000n;

/** The record `datetime` of wasi:clocks/wall-clock 0.2. */
export interface Datetime {
  readonly seconds: bigint;
  readonly nanoseconds: number;
}

export function datetime(nanoseconds: bigint): Datetime {
  return { seconds: nanoseconds / second, nanoseconds: Number(nanoseconds % second) };
}

/** wasi:clocks 0.2. Of time zones only UTC is known. */
export function createClocks(clock: GuestClock, waiter: Waiter): Record<string, unknown> {
  return {
    "wasi:clocks/monotonic-clock": {
      now: () => clock.monotonic(),
      resolution: () => clock.monotonicResolution,
      subscribeInstant: (mark: bigint) => new Pollable(clock.until(mark), waiter),
      subscribeDuration: (duration: bigint) => new Pollable(clock.after(duration), waiter),
    },
    "wasi:clocks/wall-clock": {
      now: () => datetime(clock.wall()),
      resolution: () => datetime(clock.wallResolution),
    },
    "wasi:clocks/timezone": {
      display: () => ({ utcOffset: 0, name: "UTC", inDaylightSavingTime: false }),
      utcOffset: () => 0,
    },
  };
}
