/** A process of its own for each: it ends. */
import { spawnSync } from "node:child_process";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { exitStatuses } from "../../../wasm-host/exit.ts";

const test = suite("limits of time");
const watchTime = new URL("../../../wasm-host/limits/watch-time.ts", import.meta.url).href;

function run(limits: object, program: string, stdio: ("pipe" | number)[] = ["pipe", "pipe", "pipe", "pipe"]) {
  const script = `
    const { watchTime } = await import(${JSON.stringify(watchTime)});
    watchTime(${JSON.stringify(limits)}, 3);
    ${program}`;
  const args = ["--no-warnings", "--input-type=module", "--eval", script];
  return spawnSync(process.execPath, args, { stdio, encoding: "utf8", timeout: 60_000 });
}

const forEver = "for (;;) continue;";

test("a thread that computes is ended, and the pipe told", () => {
  const { status, stderr, output } = run({ wallMs: 200 }, forEver);
  assert.is(status, exitStatuses.timeLimit);
  assert.is(stderr, "tandem: limit reached: timeout: has run for 200 ms\n");
  assert.is(output[3], '{"exit":124}\n');
});

test("processor time is what counts for the one, not for the other", () => {
  const { status, stderr, output } = run({ wallMs: 60_000, cpuMs: 600 }, forEver);
  assert.is(status, exitStatuses.processorLimit);
  assert.is(stderr, "tandem: limit reached: cpu-time: has used 600 ms of processor time\n");
  assert.is(output[3], '{"exit":119}\n');
  const sleeping = run(
    { cpuMs: 2_000 },
    "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);",
  );
  assert.equal([sleeping.status, sleeping.stderr], [0, ""]);
});

test("nobody has to read its stderr", () => {
  const { status } = run(
    { wallMs: 300 },
    `const { pipe } = (await import(${JSON.stringify(new URL("../../../src/native.ts", import.meta.url).href)})).native;
     const { native } = await import(${JSON.stringify(new URL("../../../src/native.ts", import.meta.url).href)});
     const { writeSync } = await import("node:fs");
     const [, full] = native.pipe();
     native.replaceFd(full, 2);
     for (;;) writeSync(2, "x".repeat(4096));`,
  );
  assert.is(status, exitStatuses.timeLimit);
});

test("who is done before is not ended", () => {
  const { status, stderr } = run({ wallMs: 60_000, cpuMs: 60_000 }, "process.exitCode = 3;");
  assert.equal([status, stderr], [3, ""]);
});

test.run();
