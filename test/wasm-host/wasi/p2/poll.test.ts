import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Pollable } from "../../../../wasm-host/wasi/p2/poll.ts";
import { monotonicNow, suspending } from "../../../../wasm-host/wasi/p2/waiting.ts";

const test = suite("pollables");

const hour = 3_600_000_000_000n;

function later(): Pollable {
  const deadline = monotonicNow() + hour;
  return new Pollable({ ready: () => monotonicNow() >= deadline, deadline }, suspending);
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((one) => one === "Timeout").length;
}

test("One that is dropped leaves nothing that waits for it", () => {
  const before = timers();
  const one = later();
  assert.instance(one.block(), Promise);
  assert.is(timers(), before + 1);
  one[Symbol.dispose]();
  assert.is(timers(), before);
});

test("Of several, the first that is dropped ends the wait for all", () => {
  const before = timers();
  const several = [later(), later()] as const;
  assert.instance(Pollable.poll(several), Promise);
  assert.is(timers(), before + 2);
  several[0][Symbol.dispose]();
  assert.is(timers(), before);
});

test("A wait that has ended is forgotten: dropping the pollable then ends nobody else's", async () => {
  let ready = false;
  let wake = (): void => undefined;
  const source = {
    ready: () => ready,
    watch: (woken: () => void) => {
      wake = woken;
      return () => undefined;
    },
  };
  const one = new Pollable(source, suspending);
  const waiting = one.block();
  ready = true;
  wake();
  await waiting;
  one[Symbol.dispose]();
  assert.is(one.block(), undefined);
});

test.run();
