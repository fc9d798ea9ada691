import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import type { Grant } from "../../../wasm-host/grant.ts";
import { compileModule } from "../../../wasm-host/module.ts";
import { prepareModule } from "../../../wasm-host/run-module.ts";
import { emptyGrant } from "../wasi/p1/guest.ts";
import type { Run } from "../wasi/p1/run-guest.ts";
import { buildThreadGuest } from "./build-guest.ts";

const runner = fileURLToPath(new URL("../wasi/p1/run-guest.ts", import.meta.url));
const test = suite<{ directory: string; wasm: string }>("threads");

test.before((context) => {
  context.wasm = buildThreadGuest();
});
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-threads-"));
});
test.after.each((context) => rmSync(context.directory, { recursive: true }));

function run(what: string, { directory, wasm }: { directory: string; wasm: string }, input = "") {
  const request: Run = { wasm, args: [what], root: directory };
  const args = ["--no-warnings", runner, JSON.stringify(request)];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
    input,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status: status ?? signal, stdout, stderr };
}

const fine = { status: 0, stdout: "", stderr: "" };

test("a mutex keeps eight threads apart, and main waits for them", (context) => {
  assert.equal(run("count", context), fine);
});

test("a thread that has ended leaves the threads that it made", (context) => {
  assert.equal(run("chain", context), fine);
});

test("a worker that has run a thread runs the next one", (context) => {
  assert.equal(run("again", context), fine);
});

test("each living thread has an identifier of its own", (context) => {
  assert.equal(run("identifiers", context), fine);
});

test("files that threads open are one table's", (context) => {
  assert.equal(run("open", context), fine);
  assert.is(readdirSync(context.directory).length, 32);
  assert.equal(run("open-close", context), fine);
});

test("a read that waits goes on when another thread closes its descriptor", (context) => {
  assert.equal(run("close-while-read", context, "x"), { ...fine, stdout: "closed\n" });
});

test("memory that one thread has grown is there for all, and for the host", (context) => {
  assert.equal(run("grow", context), { ...fine, stdout: "grown\n" });
});

test("dozens of threads at once", (context) => {
  assert.equal(run("many", context), fine);
});

test("the exit of any thread is the process's, whatever main waits for", (context) => {
  assert.equal(run("exit", context), { ...fine, status: 7 });
});

test("a trap of any thread ends the process, with that thread's stack", (context) => {
  const { status, stderr } = run("trap", context);
  assert.is(status, 134);
  assert.match(
    stderr,
    /^trap: unreachable\nwasm backtrace:\n {4}0: trap at guest\.c:\d+:3 .*\n {4}1: runThread at guest\.c:\d+:3 .*\n {4}2: wasi_thread_start at start\.s:\d+ .*\n$/,
  );
  assert.is(run("overflow", context).status, 134);
});

async function refusal(text: string, grant: Partial<Grant> = {}): Promise<string> {
  const bytes = await parse(text);
  try {
    prepareModule({ module: compileModule(bytes), bytes }, { ...emptyGrant, ...grant });
  } catch (error) {
    if (error instanceof TandemError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "nothing was refused";
}

const spawn = '(import "wasi" "thread-spawn" (func (param i32) (result i32)))';
const memory = '(import "env" "memory" (memory 1 2 shared))';
const entry = '(func (export "wasi_thread_start") (param i32 i32))';
const start = '(func (export "_start"))';

test("a module that is not made for its threads is refused before anything runs", async () => {
  assert.is(
    await refusal(`(module ${spawn} ${memory} ${start})`),
    "invalid_argument: module makes threads but has no exported function wasi_thread_start",
  );
  assert.is(
    await refusal(`(module ${spawn} ${entry} ${start})`),
    "invalid_argument: module makes threads but imports no shared memory",
  );
  const grant = { random: { seed: "00".repeat(32) } };
  assert.match(
    await refusal(`(module ${spawn} ${memory} ${entry} ${start})`, grant),
    "for guests with one thread",
  );
});

test("a shared memory is given to whoever imports one, any other is not", async () => {
  assert.is(await refusal(`(module ${memory} ${start})`), "nothing was refused");
  assert.is(
    await refusal(`(module (import "env" "memory" (memory 1)) ${start})`),
    "unimplemented: module imports env.memory (memory), which nobody grants: a memory is given to modules with shared ones only; leave out --import-memory",
  );
  assert.is(
    await refusal(`(module (import "env" "memory" (memory i64 1 2 shared)) ${start})`),
    "nothing was refused",
  );
});

test.run();
