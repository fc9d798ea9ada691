import { wallClockNow } from "../p2/clocks.ts";
import { monotonicNow, type Source, suspending } from "../p2/waiting.ts";
import { onCancel } from "./host-call.ts";

/** wasi:clocks 0.3: this machine's clocks. Of time zones only UTC is known. */
export function createClocks(): Record<string, unknown> {
  return {
    "wasi:clocks/types@0.3": {},
    "wasi:clocks/monotonic-clock@0.3": {
      now: monotonicNow,
      getResolution: () => 1n,
      waitUntil,
      // u64 addition must not wrap: a mark beyond 2^64 never comes either way.
      waitFor: (duration: bigint) => waitUntil(monotonicNow() + duration),
    },
    "wasi:clocks/system-clock@0.3": { now: wallClockNow, getResolution: () => 1_000_000n },
    "wasi:clocks/timezone@0.3": {
      ianaId: () => "UTC",
      utcOffset: () => 0n,
      toDebugString: () => "UTC",
    },
  };
}

async function waitUntil(mark: bigint): Promise<void> {
  let cancelled = false;
  const source: Source = {
    ready: () => cancelled || monotonicNow() >= mark,
    deadline: mark,
    watch(wake) {
      onCancel(() => {
        cancelled = true;
        wake();
      });
      return () => {};
    },
  };
  await suspending.untilAny([source]);
}
