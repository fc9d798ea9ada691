/** How deep a guest may recurse: as deep as RLIMIT_STACK says, whatever V8 thinks enough; then a trap, not the end of the host. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Household } from "../support/household.ts";
import { buildGuest } from "../wasm-host/guests/guest.ts";
import { buildThreadGuest } from "../wasm-host/threads/build-guest.ts";
import { compileC } from "../wasm-host/wasi/p1/compile-c.ts";

const test = suite("call stack of a guest");
const tandem = fileURLToPath(new URL("../../dist/bin/tandem", import.meta.url));
const directory = mkdtempSync("/tmp/tg-");
const household = new Household(join(directory, "t"));
/** Each call takes stack of WebAssembly's, and hardly any of the guest's memory. */
const program = compileC(
  `#include <stdio.h>
   #include <stdlib.h>
   __attribute__((noinline, optnone)) int deep(int n) { return n == 0 ? 0 : 1 + deep(n - 1); }
   int main(int argc, char **argv) { printf("%d\\n", deep(atoi(argv[1]))); }`,
  ["-O1", "-Wl,-z,stack-size=134217728"],
);
test.after(() => {
  household.end();
  rmSync(directory, { recursive: true, force: true });
});

/** `ulimit -s`, and what follows `tandem`. */
function withStack(kilobytes: number, ...args: string[]): [string, ...string[]] {
  return ["bash", "-c", 'ulimit -S -s "$1"; shift; exec "$@"', "bash", String(kilobytes), tandem, ...args];
}

function runGuest(kilobytes: number, ...args: string[]): Promise<Finished> {
  const [command, ...rest] = withStack(kilobytes, "run", ...args);
  return run(command, rest, { environment: household.environment });
}

const recurse = (depth: number, kilobytes: number, ...flags: string[]): Promise<Finished> =>
  runGuest(kilobytes, ...flags, program, String(depth));

const exhausted = (finished: Finished): void => {
  assert.is(finished.status, 134);
  assert.match(finished.stderr, /^trap: call stack exhausted\n/);
};

test("is what the caller's limit leaves", async () => {
  assert.is((await recurse(50_000, 8192)).stdout, "50000\n");
  exhausted(await recurse(500_000, 8192));
  assert.is((await recurse(200_000, 32_768)).stdout, "200000\n");
  assert.is((await recurse(1000, 1024)).stdout, "1000\n");
  exhausted(await recurse(50_000, 1024));
});

test("is 63 MB at most, also where the caller has no limit", async () => {
  assert.is((await recurse(300_000, 1 << 20)).stdout, "300000\n");
  exhausted(await recurse(100_000_000, 1 << 20));
});

test("is what -W max-wasm-stack says", async () => {
  assert.is((await recurse(200_000, 1024, "-W", "max-wasm-stack=33554432")).stdout, "200000\n");
  exhausted(await recurse(50_000, 8192, "-W", "max-wasm-stack=131072"));
  assert.is((await recurse(500, 8192, "-W", "max-wasm-stack=131072")).stdout, "500\n");
  const refused = await recurse(1, 1024, "-W", "max-wasm-stack=134217728");
  assert.is(refused.status, 126);
  assert.match(refused.stderr, "option -W max-wasm-stack=134217728: 66060288 at most");
});

test("is the same for each thread", async () => {
  const threads = buildThreadGuest();
  assert.is((await runGuest(16_384, threads, "deep")).stdout, "up again\n");
  exhausted(await runGuest(1024, threads, "deep"));
  exhausted(await runGuest(16_384, threads, "deeper"));
  exhausted(await runGuest(16_384, "-W", "max-wasm-stack=131072", threads, "deep"));
  assert.is((await runGuest(16_384, "-W", "max-wasm-stack=131072", threads, "count")).status, 0);
});

test("is the same for calls that can suspend", async () => {
  const command = buildGuest("command03", directory);
  assert.is((await runGuest(16_384, command, "deep", "60000")).stdout, "up again\n");
  exhausted(await runGuest(16_384, command, "deep", "10000000"));
  exhausted(await runGuest(16_384, "-W", "max-wasm-stack=131072", command, "deep", "60000"));
});

test("is the same for each request, and exhausting it costs that request", async () => {
  const http = buildGuest("http", directory);
  const [program, ...args] = withStack(
    16_384,
    ...["serve", "--addr", "127.0.0.1:0", "-W", "max-wasm-stack=8388608", http],
  );
  const server = spawn(program, args, {
    env: { ...process.env, ...household.environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(server, "exit");
  try {
    let said = "";
    server.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const address = /^Serving HTTP on (\S+)/m;
    await waitFor(() => address.test(said), 60_000, "the address");
    const answers = [];
    for (const path of ["deep", "deeper", "deep"])
      answers.push((await fetch(`${address.exec(said)?.[1]}${path}`)).status);
    assert.equal(answers, [200, 500, 200]);
  } finally {
    server.kill("SIGTERM");
    await exited;
  }
});

test.run();
