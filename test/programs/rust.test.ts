/** A program in Rust, by its standard library for WASI 0.1. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { makeRust } from "../../scripts/programs/rust.ts";
import { GuestRuns } from "./guest-runs.ts";

const test = suite("Rust");
const program = await makeRust();
const guests = new GuestRuns();
const flags = guests.withWork("--env", "A=b", "--env", "C=");
test.after(() => guests[Symbol.dispose]());

if (program === undefined) test.skip("no rustc with the target wasm32-wasip1");
else {
  test("files, arguments, environment, standard input, time; no threads", async () => {
    const input = `${"x".repeat(70_000)}\n\nabc\nabc`;
    const { status, stdout, stderr } = await guests.runAsWasmtime(program, ["0", "b c"], { flags, input });
    assert.is(stderr, "");
    assert.is(status, 0);
    assert.equal(stdout.trimEnd().split("\n").slice(0, 11), [
      '["0", "b c"] {"A": "b", "C": ""}',
      "{0: 1, 3: 2, 70000: 1}",
      'Some("line") 34',
      "[102, 105, 114, 115, 116] 1000000000123456789",
      '["b", "copy", "hard", "renamed"]',
      "missing: NotFound",
      "new: AlreadyExists",
      "full: Uncategorized",
      "elsewhere: NotFound",
      "above: PermissionDenied",
      "false",
    ]);
    assert.match(stdout, /\ntrue true\ntrue\n666666166\.458842 3402\d+\n$/);
  });

  test("a panic is told and is a trap, an error and an exit code are the program's", async () => {
    const panicked = await guests.run(program, ["panic"], { flags, input: "" });
    assert.is(panicked.status, 134);
    assert.match(panicked.stderr, /panicked at .*program\.rs:\d+:\d+:\non purpose\n/);
    assert.match(panicked.stderr, /\ntrap: unreachable\nwasm backtrace:\n/);
    const failed = await guests.runAsWasmtime(program, ["error"], { flags, input: "" });
    assert.is(failed.status, 1);
    assert.match(failed.stderr, /^Error: .*returned/);
    assert.is((await guests.runAsWasmtime(program, ["42"], { flags, input: "" })).status, 42);
  });
}

test.run();
