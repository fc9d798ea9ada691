import { suite } from "uvu";
import * as assert from "uvu/assert";
import { withStack } from "../../src/run/stack-limit.ts";

const test = suite("stack of a guest");
const UNLIMITED = (1n << 64n) - 1n;
const limits = [0, 1, 2, 3, 4].map((resource) => [BigInt(resource) << 20n, UNLIMITED] as const);

test("is the caller's unless asked for", () => {
  assert.is(withStack(limits, undefined), limits);
});

test("has room below the soft limit, with what the host needs; no other limit is touched", () => {
  const changed = withStack(limits, 8 << 20);
  assert.equal(changed[3], [9n << 20n, UNLIMITED]);
  assert.equal(changed.toSpliced(3, 1), limits.toSpliced(3, 1));
  assert.equal(withStack(limits, 1 << 20), limits);
});

test("is no less than the host takes itself and no more than can be", () => {
  assert.throws(() => withStack(limits, 131071), /max-wasm-stack=131071: 131072 at least/);
  assert.equal(withStack(limits, 63 << 20)[3]?.[0], 64n << 20n);
  assert.throws(() => withStack(limits, (63 << 20) + 1), /max-wasm-stack=66060289: 66060288 at most/);
  const low = limits.map(([soft]) => [soft, 4n << 20n] as const);
  assert.throws(() => withStack(low, 4 << 20), /the caller's hard limit is 4194304/);
});

test.run();
