import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { GuestProgram } from "../../../wasm-host/http/guests/guest-program.ts";
import { InstancePool } from "../../../wasm-host/http/instance-pool.ts";
import { defaultHttpLimits, type HttpLimits } from "../../../wasm-host/http/limits.ts";

const test = suite("instance pool");

/** A pool of instances that do nothing, and what became of them. */
function createPool(limits: Partial<HttpLimits>, { resettable = false, concurrent = false } = {}) {
  const counts = { made: 0, reset: 0, abandoned: 0 };
  const program: GuestProgram = {
    concurrent,
    instantiate: () => {
      counts.made++;
      return {
        answer: () => Promise.resolve(),
        reset: () => {
          if (resettable) counts.reset++;
          return resettable;
        },
        abandon: () => {
          counts.abandoned++;
        },
      };
    },
  };
  return { pool: new InstancePool(program, { ...defaultHttpLimits, ...limits }), counts };
}

test("one that cannot be put back is given up, so that what it has open is closed", () => {
  const { pool, counts } = createPool({});
  for (let left = 3; left > 0; left--) pool.release(pool.take(0), 0);
  assert.equal(counts, { made: 3, reset: 0, abandoned: 3 });
});

test("one that can be put back serves all", () => {
  const { pool, counts } = createPool({}, { resettable: true });
  for (let left = 3; left > 0; left--) pool.release(pool.take(0), 0);
  assert.equal(counts, { made: 1, reset: 3, abandoned: 0 });
});

test("one is used as often as it may be, and given up then", () => {
  const { pool, counts } = createPool({ maxInstanceReuseCount: 2 });
  for (let left = 4; left > 0; left--) pool.release(pool.take(0), 0);
  assert.equal(counts, { made: 2, reset: 0, abandoned: 2 });
});

test("several requests at once share one as far as they may, one of 0.2 never", () => {
  const limits = { maxInstanceReuseCount: 10, maxInstanceConcurrentReuseCount: 2 };
  const shared = createPool(limits, { concurrent: true });
  const [first, second, third] = [shared.pool.take(0), shared.pool.take(0), shared.pool.take(0)];
  assert.is(first, second);
  assert.is.not(second, third);
  const alone = createPool(limits);
  assert.is.not(alone.pool.take(0), alone.pool.take(0));
});

test("those with nothing to do are given up in time, but for one that is as new", () => {
  const { pool, counts } = createPool({ idleInstanceTimeoutMs: 100 }, { resettable: true });
  for (const instance of [pool.take(0), pool.take(0), pool.take(0)]) pool.release(instance, 0);
  pool.sweep(99);
  assert.is(counts.abandoned, 0);
  pool.sweep(100);
  assert.is(counts.abandoned, 2);
  const used = createPool({ idleInstanceTimeoutMs: 100, maxInstanceReuseCount: 5 });
  used.pool.release(used.pool.take(0), 0);
  used.pool.sweep(100);
  assert.equal(used.counts, { made: 1, reset: 0, abandoned: 1 });
});

test("one that has failed is given up while others may still be in it, and serves nobody else", () => {
  const { pool, counts } = createPool(
    { maxInstanceReuseCount: 10, maxInstanceConcurrentReuseCount: 4 },
    { concurrent: true },
  );
  const first = pool.take(0);
  const second = pool.take(0);
  pool.discard(first);
  pool.release(second, 0);
  pool.take(0);
  assert.equal(counts, { made: 2, reset: 0, abandoned: 1 });
});

test.run();
