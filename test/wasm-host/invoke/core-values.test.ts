import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import { printCoreResults, readCoreArguments } from "../../../wasm-host/invoke/core-values.ts";

const test = suite("core values");

function refusal(params: readonly string[], words: readonly string[], results: readonly string[] = []) {
  try {
    readCoreArguments("f", { params, results }, words);
  } catch (error) {
    assert.instance(error, TandemError);
    return (error as TandemError).message;
  }
  return "nothing was refused";
}

test("integers are decimal or hexadecimal, signed or not", () => {
  const type = { params: ["i32", "i32", "i32", "i64", "i64"], results: [] };
  const words = ["-2147483648", "4294967295", "0xFf", "18446744073709551615", "-0x1"];
  assert.equal(readCoreArguments("f", type, words), [
    -2147483648,
    4294967295,
    255,
    18446744073709551615n,
    -1n,
  ]);
  for (const word of ["4294967296", "-2147483649", "1.0", "", "1e3", "0b1"])
    assert.is(refusal(["i32"], [word]), `export f: argument 1, "${word}", is no i32`);
  assert.is(
    refusal(["i64"], ["18446744073709551616"]),
    'export f: argument 1, "18446744073709551616", is no i64',
  );
});

test("how many arguments of which types are expected is said", () => {
  assert.is(refusal([], ["1"]), "export f takes no arguments, not 1 word");
  assert.is(refusal(["i32", "f64"], ["1"]), "export f takes 2 arguments (i32, f64), not 1 word");
  assert.is(refusal(["externref"], ["1"]), "export f takes a externref, which has no text form");
  assert.is(refusal(["v128"], ["1"]), "export f takes a v128, which has no text form");
  assert.is(refusal([], [], ["v128"]), "export f returns a v128, which cannot be printed");
});

test("results are a line each, references by their kind", () => {
  const results = ["i32", "i64", "f32", "externref", "funcref", "(ref null any)"];
  const values = [-1, -9007199254740993n, Math.fround(0.1), { a: 1 }, null, null];
  assert.is(
    printCoreResults({ params: [], results }, values),
    "-1\n-9007199254740993\n0.1\n<externref>\n<null funcref>\n<null anyref>\n",
  );
  assert.is(printCoreResults({ params: [], results: [] }, undefined), "");
});

test.run();
