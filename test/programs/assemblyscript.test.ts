/** A program in AssemblyScript, with its shim for WASI 0.1. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeAssemblyscript } from "../../scripts/programs/assemblyscript.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("AssemblyScript");
const program = await makeAssemblyscript();
const guests = new GuestRuns();
const flags = ["--env", "NAME=value"];
test.after(() => guests[Symbol.dispose]());

test("standard input, arguments, environment, numbers, dates and random numbers", async () => {
  const input = `${"some words and some more ".repeat(2000)}\n`;
  const { status, stdout, stderr } = await guests.runAsWasmtime(program, ["0", "b c"], { flags, input });
  assert.is(stderr, "to stderr\n");
  assert.is(status, 0);
  const lines = [
    "4000 some",
    "2000 and",
    "2000 more",
    "2000 words",
    "argument 0",
    "argument b c",
    "NAME value",
  ];
  const numbers = "hash 952176a3496f44e5, 0.479425538604203, 0.10000000149011612";
  assert.is(stdout, `${[...lines, numbers, "random true, date true"].join("\n")}\n`);
});

test("its exit code, and what it throws with file, line and column", async () => {
  assert.is((await guests.runAsWasmtime(program, ["42"], { flags, input: "" })).status, 42);
  const thrown = await guests.run(program, ["abort"], { flags, input: "" });
  assert.match(thrown.stderr, /abort: thrown in words\.ts\(\d+:\d+\)\n/);
  assert.is.not(thrown.status, 0);
});

test.run();
