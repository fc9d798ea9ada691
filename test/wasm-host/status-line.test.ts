import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeFunctions } from "../../src/code/ran-functions.ts";
import { encodeExit, LONGEST_STATUS_LINE } from "../../wasm-host/status-line.ts";

const test = suite("status line");
const digest = "0".repeat(64);
const most = 1_000_000;

test("Functions of the largest module fit", () => {
  const ran = { [digest]: encodeFunctions([0, most - 1], most) };
  assert.equal(JSON.parse(encodeExit(3, ran)), { exit: 3, ran });
});

test("Those of several such do not: the status arrives without them", () => {
  const functions = encodeFunctions([0], most);
  const line = encodeExit(3, { [digest]: functions, ["1".repeat(64)]: functions });
  assert.is(line, '{"exit":3}\n');
  assert.ok(line.length <= LONGEST_STATUS_LINE);
});

test.run();
