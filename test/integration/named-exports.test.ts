/** Exports by name, as docs/run.md has them: of modules and components, by `tandem run`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { Household } from "../support/household.ts";
import { buildGuest } from "../wasm-host/guests/guest.ts";
import { tandem } from "./run-guest.ts";

const test = suite("named exports");
const place = mkdtempSync("/tmp/tn-");
const household = new Household(place);
const module = join(place, "math.wasm");
let component = "";

test.before(async () => {
  component = buildGuest("invoke", place);
  writeFileSync(
    module,
    await parse(`(module (global $base (mut i32) (i32.const 0))
      (func (export "_initialize") (global.set $base (i32.const 100)))
      (func (export "mix") (param i32 i64 f32 f64) (result i32 i64 f32 f64)
        (i32.add (local.get 0) (global.get $base)) (local.get 1) (local.get 2) (local.get 3)))`),
  );
});
test.after(() => {
  household.end();
  rmSync(place, { recursive: true, force: true });
});

function runTandem(...args: readonly string[]): Promise<Finished> {
  return run(tandem, ["run", ...args], { environment: household.environment });
}

async function outcome(
  ...args: readonly string[]
): Promise<[status: number | null, stdout: string, stderr: string]> {
  const { status, stdout, stderr } = await runTandem(...args);
  return [status, stdout, stderr];
}

test("of a module: a reactor is initialised, arguments and results are of the export's types", async () => {
  const wanted = [0, "99\n-9223372036854775808\n0.1\n-inf\n", ""];
  assert.equal(await outcome("--invoke", "mix", module, "-1", "0x8000000000000000", "0.1", "-inf"), wanted);
  assert.equal(await outcome(`${module}#mix`, "4294967295", "-9223372036854775808", "1e-1", "-inf"), wanted);
});

test("of a module: what is wrong is said, and nothing runs", async () => {
  const [status, stdout, stderr] = await outcome(`${module}#mix`, "1", "2", "3", "four");
  assert.equal([status, stdout], [126, ""]);
  assert.match(stderr, /export mix: argument 4, "four", is no f64/);
  assert.match((await outcome(module))[2], /module is a reactor: name the export to run/);
  assert.is((await outcome(`${module}#mixx`))[0], 127);
});

test("of a component: in WAVE, in parentheses or word for word", async () => {
  assert.equal(await outcome("--invoke", "add(2, 40)", component), [0, "42\n", ""]);
  assert.equal(await outcome(`${component}#add`, "2", "40"), [0, "42\n", ""]);
  assert.equal(await outcome("--invoke", 'greet-http("you")', component), [0, '"hello you"\n', ""]);
  const point = '{x: 1, y-axis: 2.5, note: some("here")}';
  assert.equal(await outcome(`${component}#acme:shop/api@1.2.0#echo-point`, point), [0, `${point}\n`, ""]);
  assert.equal(await outcome("--invoke", "acme:shop/api.divide@1.2.0(1, 0)", component), [
    0,
    'err("by \\"zero\\"\\n")\n',
    "",
  ]);
});

test("of a component: what is wrong is said, and nothing runs", async () => {
  const [status, stdout, stderr] = await outcome("--invoke", "add(1, true)", component);
  assert.equal([status, stdout], [126, ""]);
  assert.match(stderr, /export add: argument b: expected u32, not "true"/);
  const without = await outcome(component);
  assert.is(without[0], 127);
  assert.match(
    without[2],
    /component is a reactor: name the export to call, as in app\.wasm#name; it has add, /,
  );
});

test("of a component: a trap is told with its stack", async () => {
  const [status, , stderr] = await outcome("--invoke", "trap()", component);
  assert.is(status, 134);
  assert.match(stderr, /^trap: unreachable\nwasm backtrace:\n {4}0: trap /);
});

test.run();
