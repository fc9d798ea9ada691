import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { loadComponent } from "../../wasm-host/component.ts";
import { exitStatuses } from "../../wasm-host/exit.ts";
import { prepareComponentCall } from "../../wasm-host/invoke/component-call.ts";
import type { ComponentGrant } from "../../wasm-host/wasi/p2/imports.ts";
import { buildGuest, createScratch, grantOf, Stdio, transpileGuest } from "./guests/guest.ts";

const scratch = createScratch();
const files = await transpileGuest(buildGuest("command", scratch), scratch);
const test = suite("component");

async function run(
  args: readonly string[],
  more: Partial<ComponentGrant> = {},
  stdin?: number,
): Promise<{ status: number; out: string; err: string }> {
  const stdio = new Stdio(scratch, stdin);
  const loaded = loadComponent({ files, grant: { ...grantOf(["guest", ...args], stdio), ...more } });
  const status = await loaded.run();
  stdio.close();
  return { status, out: stdio.out, err: stdio.err };
}

test("A command writes to the granted stdout and exits with 0", async () => {
  assert.equal(await run(["hello"]), { status: 0, out: "hello\n", err: "" });
});

test("The world of a command is told before it runs", () => {
  const stdio = new Stdio(scratch);
  const loaded = loadComponent({ files, grant: grantOf([], stdio) });
  assert.is(loaded.world, "command");
  assert.ok(loaded.code.glueWasCached, "V8 must take the glue's code cache");
  stdio.close();
  assert.is(stdio.out, "");
});

test("Arguments arrive as granted", async () => {
  assert.is((await run(["args", "a b", "ü"])).out, "guest\nargs\na b\nü\n");
});

test("The environment is the grant's, never the host's", async () => {
  process.env["GREETING"] = "from the host";
  assert.is((await run(["env"])).out, "(unset)\n");
  assert.is((await run(["env"], { env: [["GREETING", "hi"]] })).out, "hi\n");
  delete process.env["GREETING"];
});

test("The exit code of a program for WASI 0.1 passes through the adapter", async () => {
  assert.is((await run(["exit", "3"])).status, 3);
  assert.is((await run(["exit", "255"])).status, 255);
});

test("A trap is told on stderr and has a status of its own", async () => {
  const { status, err } = await run(["trap"]);
  assert.is(status, exitStatuses.trap);
  assert.match(err, /^trap: .*unreachable.*\n/);
});

test("Instances of one component share no state", async () => {
  const stdio = new Stdio(scratch);
  const loaded = loadComponent({ files, grant: grantOf(["guest", "runs"], stdio) });
  await loaded.run();
  await loaded.run();
  stdio.close();
  assert.is(stdio.out, "1\n1\n");
});

test("Without a preopen no file can be opened", async () => {
  assert.is((await run(["open", "/etc/passwd"])).out, "refused\n");
});

test("stdin without a grant is empty", async () => {
  assert.equal(await run(["cat"]), { status: 0, out: "", err: "" });
});

test("stdin from a pipe is read to its end", async () => {
  const [reading, writing] = native.pipe();
  writeSync(writing, "through a pipe");
  closeSync(writing);
  assert.is((await run(["cat"], {}, reading)).out, "through a pipe");
  closeSync(reading);
});

test("stdin from a file is read whole", async () => {
  const path = join(scratch, "input");
  writeFileSync(path, "x".repeat(200_000));
  const fd = openSync(path, "r");
  assert.is((await run(["cat"], {}, fd)).out.length, 200_000);
  closeSync(fd);
});

test("stderr is its own descriptor", async () => {
  assert.equal(await run(["stderr"]), { status: 0, out: "", err: "to stderr\n" });
});

test("Two megabytes of output arrive complete", async () => {
  assert.is((await run(["much"])).out.length, 200_000 * 11);
});

test("A sleep ends", async () => {
  const started = performance.now();
  assert.is((await run(["sleep"])).out, "0\n");
  assert.ok(performance.now() - started >= 50);
});

test("Random bytes differ from one instance to the next", async () => {
  const [first, second] = [(await run(["random"])).out, (await run(["random"])).out];
  assert.match(first, /^[0-9a-f]{16}$/);
  assert.not.equal(first, second);
});

test("An import that nobody grants is named before anything runs", async () => {
  const foreign = await transpileGuest(buildGuest("foreign", scratch), scratch);
  const stdio = new Stdio(scratch);
  assert.throws(
    () => loadComponent({ files: foreign, grant: grantOf([], stdio) }),
    /^component imports acme:anvil\/drop@1\.0\.0, which nobody grants$/m,
  );
  stdio.close();
});

test("A missing export is named", () => {
  assert.throws(
    () => prepareComponentCall(files.manifest.functions, "nonsense", []),
    /^component has no export nonsense; it has wasi:cli\/run@0\.2\.12#run$/m,
  );
});

test.run();
