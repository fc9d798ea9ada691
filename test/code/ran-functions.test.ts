import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { decodeFunctions, encodeFunctions, isRanFunctions } from "../../src/code/ran-functions.ts";

const ran = suite("functions that ran");

ran("come out as they went in", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.array(fc.nat(200)), (count, indices) => {
      const functions = [...new Set(indices.filter((index) => index < count))].sort((a, b) => a - b);
      assert.equal(decodeFunctions(encodeFunctions(functions, count), count), functions);
    }),
  );
});

ran("of a module with another number of functions are nothing", () => {
  const text = encodeFunctions([3], 20);
  assert.is(decodeFunctions(text, 8), undefined);
  assert.is(decodeFunctions("", 20), undefined);
  // Bits beyond the last function do not count.
  assert.equal(decodeFunctions(Buffer.from([0xff]).toString("base64"), 3), [0, 1, 2]);
});

ran("are by digest, and text", () => {
  assert.ok(isRanFunctions({}));
  assert.ok(isRanFunctions({ ["ab".repeat(32)]: "AA==" }));
  for (const wrong of [null, 7, { "../x": "AA==" }, { ["ab".repeat(32)]: 7 }])
    assert.not.ok(isRanFunctions(wrong));
});

ran.run();
