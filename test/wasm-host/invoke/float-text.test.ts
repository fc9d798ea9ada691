import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { printFloat, readFloat } from "../../../wasm-host/invoke/float-text.ts";

const test = suite("float text");

test("floats are printed as Rust prints them", () => {
  const doubles: [number, string][] = [
    [1, "1"],
    [-0, "-0"],
    [0.1, "0.1"],
    [1e21, `1${"0".repeat(21)}`],
    [-1.5e-7, "-0.00000015"],
    [123456789.125, "123456789.125"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "inf"],
    [Number.NEGATIVE_INFINITY, "-inf"],
  ];
  for (const [value, text] of doubles) assert.is(printFloat(value, 64), text);
  const singles: [number, string][] = [
    [Math.fround(0.1), "0.1"],
    [16777216, "16777216"],
    [Math.fround(3.4028235e38), `34028235${"0".repeat(31)}`],
    [2 ** -149, `0.${"0".repeat(44)}1`],
    // The shortest text is not next to the value where the gap below is half the gap above.
    [2 ** -126, `0.${"0".repeat(37)}11754944`],
  ];
  for (const [value, text] of singles) assert.is(printFloat(value, 32), text);
});

test("a single is read from its text in one rounding", () => {
  const half = "1.000000178813934326171875"; // between 1.0000001192092896 and 1.000000238418579
  assert.is(readFloat(half, 32), 1.000000238418579);
  assert.is(readFloat(`${half.slice(0, -1)}4999999999999999`, 32), 1.0000001192092896);
  assert.is(readFloat(`-${half}000000000000000000001`, 32), -1.000000238418579);
  const limit = "340282356779733661637539395458142568448"; // between the largest and the next that there would be
  assert.is(readFloat(limit, 32), Number.POSITIVE_INFINITY);
  assert.is(readFloat(limit.replace(/8$/, "7.9"), 32), Math.fround(3.4028234663852886e38));
  assert.is(readFloat("7.006492321624085e-46", 32), 0);
  assert.is(readFloat("7.006492321624086e-46", 32), 2 ** -149);
});

test("what is no float is undefined", () => {
  for (const text of ["", ".", "-", "1e", "0x10", "1_000", "infinit", "1 ", "e5"])
    assert.is(readFloat(text, 64), undefined, text);
  const good: [string, number][] = [
    ["5.", 5],
    [".5", 0.5],
    ["+1e+2", 100],
    ["-INF", Number.NEGATIVE_INFINITY],
  ];
  for (const [text, value] of good) assert.is(readFloat(text, 64), value);
  assert.ok(Number.isNaN(readFloat("-NaN", 32)));
});

test("whatever is printed is read back as the same number", async () => {
  await fc.assert(
    fc.property(fc.float({ noNaN: true }), (value) => {
      assert.ok(Object.is(readFloat(printFloat(value, 32), 32), value));
    }),
    { numRuns: 2000 },
  );
  await fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      assert.ok(Object.is(readFloat(printFloat(value, 64), 64), value));
    }),
  );
});

test.run();
