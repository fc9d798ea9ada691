/** docs/wasm-features.md, as `tandem run` has it: modules compiled and from the code cache, and components. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { run } from "../../scripts/private-containerd/command.ts";
import { Household } from "../support/household.ts";
import { commandOf, componentOf, features, missingFeatures } from "../wasm-host/features/features.ts";
import { buildThreadGuest } from "../wasm-host/threads/build-guest.ts";
import { tandem } from "./run-guest.ts";

const test = suite("wasm features");
const place = mkdtempSync("/tmp/tf-");
const household = new Household(place);
test.after(() => {
  household.end();
  rmSync(place, { recursive: true, force: true });
});

async function runText(
  text: string,
): Promise<{ status: number | null; stderr: string; again(): Promise<number | null> }> {
  const path = join(place, "guest.wasm");
  writeFileSync(path, await parse(text));
  const once = () => run(tandem, ["run", path], { environment: household.environment });
  const { status, stderr } = await once();
  return { status, stderr, again: async () => (await once()).status };
}

for (const [name, fields] of Object.entries(features)) {
  test(`${name} in a module`, async () => {
    const { status, stderr, again } = await runText(commandOf(fields));
    assert.equal([status, stderr], [0, ""]);
    assert.is(await again(), 0, "from the code cache");
  });

  test(`${name} in a component`, async () => {
    const { status, stderr } = await runText(componentOf(fields));
    assert.equal([status, stderr], [0, ""]);
  });
}

test("what the engine lacks is refused by name", async () => {
  for (const [name, fields] of Object.entries(missingFeatures)) {
    const { status, stderr } = await runText(`(module ${fields} (func (export "_start")))`);
    assert.is(status, 126, name);
    assert.ok(stderr.includes(`module needs an unsupported feature: ${name} (`), stderr);
  }
});

test("a feature that is done wrong is seen", async () => {
  const { status, stderr } = await runText(commandOf("(func $f (result i32) (i32.const 8))"));
  assert.is(status, 134);
  assert.match(stderr, /^trap: unreachable\nwasm backtrace:\n {4}0: /);
});

for (const [what, status] of [
  ["count", 0],
  ["chain", 0],
  ["identifiers", 0],
  ["open", 0],
  ["open-close", 0],
  ["grow", 0],
  ["exit", 7],
  ["trap", 134],
] as const) {
  test(`threads behind the wall: ${what}`, async () => {
    const args = ["run", "--dir", `${place}::/`, buildThreadGuest(), what];
    const finished = await run(tandem, args, { environment: household.environment });
    assert.is(finished.status, status, finished.stderr);
    if (what === "trap") assert.match(finished.stderr, /\n {4}0: trap at guest\.c:\d+:3 /);
    else assert.is(finished.stderr, "");
  });
}

test.run();
