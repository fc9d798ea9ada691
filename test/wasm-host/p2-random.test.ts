import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createRandom as createRandom02, guestRandom } from "../../wasm-host/wasi/p2/random.ts";
import { createRandom as createRandom03 } from "../../wasm-host/wasi/p3/random.ts";

const test = suite("random numbers of components");

function call(imports: Record<string, unknown>, interfaceName: string, member: string): unknown {
  return (imports[interfaceName] as Record<string, (length?: bigint) => unknown>)[member]?.(16n);
}

test("the seed of hash tables is one for the life of a guest, and another for the next", () => {
  const seeds = [1, 2].map(() => {
    const random = guestRandom(undefined);
    const [older, newer] = [createRandom02(random), createRandom03(random)];
    const seed = call(older, "wasi:random/insecure-seed", "insecureSeed");
    assert.equal(call(older, "wasi:random/insecure-seed", "insecureSeed"), seed);
    assert.equal(call(newer, "wasi:random/insecure-seed@0.3", "getInsecureSeed"), seed);
    return String(seed);
  });
  assert.is.not(seeds[0], seeds[1]);
});

test("random bytes are others each time, and as many as were asked for", () => {
  const imports = createRandom02(guestRandom(undefined));
  for (const [name, member] of [
    ["wasi:random/random", "getRandomBytes"],
    ["wasi:random/insecure", "getInsecureRandomBytes"],
  ] as const) {
    const [one, two] = [call(imports, name, member), call(imports, name, member)];
    assert.is((one as Uint8Array).length, 16);
    assert.is.not(
      Buffer.from(one as Uint8Array).toString("hex"),
      Buffer.from(two as Uint8Array).toString("hex"),
    );
  }
});

test.run();
