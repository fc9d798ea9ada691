import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../../../src/native.ts";
import { loadComponent } from "../../../../wasm-host/component.ts";
import { exitStatuses } from "../../../../wasm-host/exit.ts";
import type { ComponentGrant } from "../../../../wasm-host/wasi/p2/imports.ts";
import { buildGuest, createScratch, grantOf, Stdio, transpileGuest } from "../../guests/guest.ts";

const scratch = createScratch();
const files = await transpileGuest(buildGuest("command03", scratch), scratch);
const test = suite("p3 command");

interface Outcome {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  args: readonly string[],
  more: Partial<ComponentGrant> = {},
  stdin?: number,
): Promise<Outcome> {
  const stdio = new Stdio(scratch, stdin);
  const loaded = loadComponent({ files, grant: { ...grantOf(["guest", ...args], stdio), ...more } });
  const status = await loaded.run();
  stdio.close();
  return { status, out: stdio.out, err: stdio.err };
}

/** Runs with a pipe for its stdin that holds this text and has ended. */
async function runWithInput(args: readonly string[], text: string): Promise<Outcome> {
  const [reading, writing] = native.pipe();
  writeSync(writing, text);
  closeSync(writing);
  try {
    return await run(args, {}, reading);
  } finally {
    closeSync(reading);
  }
}

/** Runs with a fresh directory as its root. */
async function runWithFiles(
  args: readonly string[],
  options: { readonly readonly?: boolean; readonly prepare?: (dir: string) => void } = {},
): Promise<Outcome & { readonly dir: string }> {
  const dir = join(scratch, `root-${performance.now()}`);
  mkdirSync(dir);
  options.prepare?.(dir);
  const fd = openSync(dir, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const preopens = [{ fd, guestPath: "/", readonly: options.readonly === true }];
    return { ...(await run(args, { preopens })), dir };
  } finally {
    closeSync(fd);
  }
}

test("A command of 0.3 is told as one, and its glue comes from the cache", () => {
  const stdio = new Stdio(scratch);
  const loaded = loadComponent({ files, grant: grantOf([], stdio) });
  assert.is(loaded.world, "command");
  assert.ok(loaded.code.manifest.suspends);
  assert.ok(loaded.code.glueWasCached);
  stdio.close();
});

test("A command writes to stdout by a stream, and ends with 0", async () => {
  assert.equal(await run(["hello"]), { status: 0, out: "hello\n", err: "" });
});

test("Arguments and environment are the grant's", async () => {
  assert.is((await run(["args", "a b", "ü"])).out, "guest\nargs\na b\nü\n");
  assert.is((await run(["env"])).out, "");
  assert.is((await run(["env"], { env: [["GREETING", "hi"]] })).out, "GREETING=hi\n");
});

test("Interfaces of 0.2 and of 0.3 work side by side, in order", async () => {
  assert.is((await run(["both", "0.2"])).out, "0.3\n0.2\n0.3\n");
});

test("An error from run is 1, exit-with-code is what it says", async () => {
  assert.is((await run(["err"])).status, 1);
  assert.is((await run(["exit", "42"])).status, 42);
});

test("What was written before exit or a trap has been written", async () => {
  assert.equal(await run(["say-and-exit"]), { status: 7, out: "said\n", err: "" });
  const { status, out, err } = await run(["trap"]);
  assert.is(status, exitStatuses.trap);
  assert.is(out, "before\n");
  assert.match(err, /^trap: .*unreachable/);
});

test("A trap after run has returned ends the command as a trap", async () => {
  assert.is((await run(["late-trap"])).status, exitStatuses.trap);
});

test("stdin is read to its end", async () => {
  assert.equal(await runWithInput(["cat"], "through a pipe"), { status: 0, out: "through a pipe", err: "" });
});

test("stdin without a descriptor is at its end", async () => {
  assert.equal(await run(["cat"]), { status: 0, out: "", err: "" });
});

test("Two megabytes of output arrive complete", async () => {
  assert.is((await run(["much"])).out, "012345678\n".repeat(200_000));
});

test("A read of nothing waits for input, of which the next read takes as much as it likes", async () => {
  assert.is((await runWithInput(["await-input"], "Hello, world!")).out, "Hello, world!");
});

test("Input that a guest has not asked for is there for its next stream", async () => {
  assert.is((await runWithInput(["head", "3"], "hello world")).out, "hel|lo world");
});

test("A guest that waits for what can never happen is told so, and ends", async () => {
  const { status, err } = await run(["stuck"]);
  assert.is(status, exitStatuses.trap);
  assert.is(err, "trap: the component waits for something that can never happen\n");
});

test("A stdout that cannot be written to is an error for the guest, and no end of it", async () => {
  const full = openSync("/dev/full", "w");
  const stdio = new Stdio(scratch);
  const grant = {
    ...grantOf(["guest", "put-error"], stdio),
    stdio: { stdin: undefined, stdout: full, stderr: undefined },
  };
  assert.is(await loadComponent({ files, grant }).run(), 11); // io
  closeSync(full);
  stdio.close();
});

test("A stdout that nobody reads is a broken pipe", async () => {
  const [reading, writing] = native.pipe();
  closeSync(reading);
  const stdio = new Stdio(scratch);
  const grant = {
    ...grantOf(["guest", "put-error"], stdio),
    stdio: { stdin: undefined, stdout: writing, stderr: undefined },
  };
  assert.is(await loadComponent({ files, grant }).run(), 13); // pipe
  closeSync(writing);
  stdio.close();
});

test("A wait takes as long as it should", async () => {
  assert.is((await run(["sleep"])).out, "slept\n");
});

test("The system clock tells the seconds since 1970", async () => {
  const before = Math.floor(Date.now() / 1000);
  const told = Number((await run(["time"])).out);
  assert.ok(told >= before && told <= Date.now() / 1000);
});

test("Random bytes are as many as one answer holds, and the insecure seed stays", async () => {
  assert.is((await run(["random"])).out, "1048576\n0\none seed\n");
});

test("Without a preopen there is no directory", async () => {
  assert.is((await run(["preopens"])).out, "none\n");
});

test("A file is written and read by streams that outlive their descriptor", async () => {
  const written = await runWithFiles(["write", "file", "content"]);
  assert.is(written.out, "written\n");
  assert.is(readFileSync(join(written.dir, "file"), "utf8"), "content");
  const prepare = (dir: string): void => writeFileSync(join(dir, "file"), "x".repeat(10_000));
  assert.is((await runWithFiles(["read", "file"], { prepare })).out, "x".repeat(10_000));
});

/** Numbers of error-code in wasi:filesystem/types 0.3. */
const codes = { noEntry: 19, notPermitted: 30, readOnly: 32 };

test("No path and no link leads out of the preopen", async () => {
  const prepare = (dir: string): void => {
    symlinkSync("/etc/passwd", join(dir, "absolute"));
    symlinkSync("../../../../../../etc", join(dir, "up"));
  };
  for (const path of ["../x", "/etc/passwd", "up/passwd"])
    assert.is(
      (await runWithFiles(["read", path], { prepare })).out,
      `open error ${codes.notPermitted}\n`,
      path,
    );
  assert.is((await runWithFiles(["read", "nothing"])).out, `open error ${codes.noEntry}\n`);
});

test("A read-only preopen is not changed", async () => {
  const { out, dir } = await runWithFiles(["write", "file", "content"], { readonly: true });
  assert.is(out, `open error ${codes.readOnly}\n`);
  assert.is((await runWithFiles(["mkdir", "new"], { readonly: true })).out, `${1 + codes.readOnly}\n`);
  assert.throws(() => readFileSync(join(dir, "file")), /ENOENT/);
});

test("A name is looked up only when the grant allows it", async () => {
  assert.is((await run(["resolve", "localhost"])).out, "1\n"); // access-denied
  const network = { outbound: ["localhost"], inbound: [] };
  assert.is((await run(["resolve", "localhost"], { network })).out, "0\n");
});

test("Guests of one process do not see each other's state", async () => {
  const outs = await Promise.all([run(["sleep"]), run(["hello"]), run(["random"])]);
  assert.equal(
    outs.map(({ status }) => status),
    [0, 0, 0],
  );
});

test.run();
