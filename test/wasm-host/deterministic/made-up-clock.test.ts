import { setImmediate as turn } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { clockOf, MadeUpClock } from "../../../wasm-host/deterministic/made-up-clock.ts";
import { guestClock } from "../../../wasm-host/wasi/p2/guest-clock.ts";
import { blocking, suspending } from "../../../wasm-host/wasi/p2/waiting.ts";

const test = suite("made-up clock");
const options = { startMs: 1_000, stepNs: 10 };

test("each reading moves both on", () => {
  const clock = new MadeUpClock(options);
  assert.equal([clock.readMonotonic(), clock.readWall(), clock.readMonotonic()], [10n, 1_000_000_020n, 30n]);
  assert.equal([clock.now, clock.resolution], [30n, 10n]);
});

test("nobody waits for time, and nobody goes back", () => {
  const clock = new MadeUpClock(options);
  clock.moveTo(500n);
  clock.moveTo(100n);
  clock.moveTo(2n ** 64n - 1n);
  assert.is(clock.now, 500n);
});

test("those who wait are woken in the order of what they wait for", async () => {
  const clock = new MadeUpClock(options);
  const woken: string[] = [];
  const wake = (name: string) => () => {
    woken.push(`${name} at ${clock.now}`);
  };
  clock.whenAt(300n, wake("late"));
  clock.whenAt(100n, wake("early"));
  clock.whenAt(100n, wake("with it"));
  const stop = clock.whenAt(200n, wake("never"));
  stop();
  for (let left = 4; left > 0; left--) await turn();
  assert.equal(woken, ["early at 100", "with it at 100", "late at 300"]);
});

test("a component's waits take no time, by the thread or by the loop", async () => {
  const hour = 3_600_000_000_000n;
  for (const waiter of [blocking, suspending]) {
    const clocks = { ...options };
    const clock = guestClock(clocks);
    const [short, long] = [clock.after(hour), clock.after(2n * hour)];
    assert.equal([...(await waiter.poll([long, short]))], [1]);
    assert.is(clockOf(clocks)?.now, hour);
    await waiter.untilAny([long]);
    assert.is(clock.monotonic(), 2n * hour + 10n);
  }
});

test.run();
