import { datetime } from "../p2/clocks.ts";
import type { GuestClock } from "../p2/guest-clock.ts";
import { type Source, suspending } from "../p2/waiting.ts";
import { onCancel } from "./host-call.ts";

/** wasi:clocks 0.3. Of time zones only UTC is known. */
export function createClocks(clock: GuestClock): Record<string, unknown> {
  return {
    "wasi:clocks/types@0.3": {},
    "wasi:clocks/monotonic-clock@0.3": {
      now: () => clock.monotonic(),
      getResolution: () => clock.monotonicResolution,
      waitUntil: (mark: bigint) => waitFor(clock.until(mark)),
      waitFor: (duration: bigint) => waitFor(clock.after(duration)),
    },
    "wasi:clocks/system-clock@0.3": {
      now: () => datetime(clock.wall()),
      getResolution: () => clock.wallResolution,
    },
    "wasi:clocks/timezone@0.3": {
      ianaId: () => "UTC",
      utcOffset: () => 0n,
      toDebugString: () => "UTC",
    },
  };
}

/** Until it is ready, or the guest cancels the call. */
async function waitFor(timer: Source): Promise<void> {
  let cancelled = false;
  const source: Source = {
    ready: () => cancelled || timer.ready(),
    ...(timer.deadline === undefined ? {} : { deadline: timer.deadline }),
    watch(wake) {
      onCancel(() => {
        cancelled = true;
        wake();
      });
      return timer.watch?.(wake) ?? (() => {});
    },
  };
  await suspending.untilAny([source]);
}
