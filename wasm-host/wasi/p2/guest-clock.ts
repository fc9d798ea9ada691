import { clockOf, type MadeUpClock } from "../../deterministic/made-up-clock.ts";
import type { Grant } from "../../grant.ts";
import { alwaysReady, monotonicNow, type Source } from "./waiting.ts";

/** The clocks that a component's guest sees, of WASI 0.2 and 0.3 alike. */
export interface GuestClock {
  /** Monotonic nanoseconds. */
  monotonic(): bigint;
  readonly monotonicResolution: bigint;
  /** Nanoseconds since 1970, in UTC. */
  wall(): bigint;
  readonly wallResolution: bigint;
  /** Ready once the monotonic clock is there. */
  until(mark: bigint): Source;
  /** Ready so many nanoseconds from now on. */
  after(duration: bigint): Source;
}

/** @param clocks of the grant; undefined: this machine's */
export function guestClock(clocks: Grant["clocks"]): GuestClock {
  const madeUp = clockOf(clocks);
  return madeUp === undefined ? machineClock : fromMadeUp(madeUp);
}

const until = (mark: bigint): Source =>
  mark <= monotonicNow() ? alwaysReady : { ready: () => monotonicNow() >= mark, deadline: mark };

const machineClock: GuestClock = {
  monotonic: monotonicNow,
  monotonicResolution: 1n,
  // The fraction of performance.now is finer than Date.now, and its origin is the zygote's: only Date is right after a fork.
  wall: () => BigInt(Date.now()) * 1_000_000n,
  wallResolution: 1_000_000n,
  until,
  // u64 addition must not wrap: a mark beyond 2^64 never comes either way.
  after: (duration) => until(monotonicNow() + duration),
};

function fromMadeUp(clock: MadeUpClock): GuestClock {
  const madeUpUntil = (mark: bigint): Source =>
    mark <= clock.now
      ? alwaysReady
      : {
          ready: () => clock.now >= mark,
          madeUp: { mark, moveTo: () => clock.moveTo(mark) },
          watch: (wake) => clock.whenAt(mark, wake),
        };
  return {
    monotonic: () => clock.readMonotonic(),
    monotonicResolution: clock.resolution,
    wall: () => clock.readWall(),
    wallResolution: clock.resolution,
    until: madeUpUntil,
    after: (duration) => madeUpUntil(clock.now + duration),
  };
}
