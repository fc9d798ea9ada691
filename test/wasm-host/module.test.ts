import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { detectWasm } from "../../wasm-host/detect.ts";
import { exitStatuses, statusFromFailure } from "../../wasm-host/exit.ts";
import type { Grant } from "../../wasm-host/grant.ts";
import { compileModule } from "../../wasm-host/module.ts";
import { type CompiledModule, runModule } from "../../wasm-host/run-module.ts";
import { emptyGrant, Sandbox } from "./wasi/p1/guest.ts";

const preamble = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const test = suite("module");

async function compile(text: string): Promise<CompiledModule> {
  const bytes = await parse(text);
  return { module: compileModule(bytes), bytes };
}

/** Runs WebAssembly text; its status and what it wrote. */
async function run(text: string, options: { grant?: Partial<Grant>; export?: string } = {}) {
  using sandbox = new Sandbox();
  const path = join(sandbox.path, "out");
  const out = openSync(path, "w");
  try {
    const grant = { ...emptyGrant, stdio: { stdin: -1, stdout: out, stderr: out }, ...options.grant };
    const status = runModule(
      await compile(text),
      grant,
      options.export === undefined ? {} : { export: options.export },
    );
    return { status, output: readFileSync(path, "utf8") };
  } finally {
    closeSync(out);
  }
}

function failure(action: () => unknown): TandemError {
  try {
    action();
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

test("compileModule names what is wrong with the bytes in one line", () => {
  const messages: [number[], string, string][] = [
    [[], "invalid_argument", "not a WebAssembly module: it begins with nothing"],
    [[0x7f, 0x45, 0x4c, 0x46, 2], "invalid_argument", "not a WebAssembly module: it begins with 7f454c46"],
    [preamble.slice(0, 6), "invalid_argument", "module is truncated"],
    [[...preamble, 1, 4, 1], "invalid_argument", "module is truncated"],
    [
      [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0],
      "invalid_argument",
      "a component, where a core module is expected",
    ],
    [[...preamble, 77, 0], "unimplemented", "module needs an unsupported feature: unknown section code"],
    [
      [...preamble, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 5, 1, 3, 0, 0x6a, 0x0b],
      "invalid_argument",
      "module is invalid",
    ],
  ];
  for (const [bytes, code, message] of messages) {
    const error = failure(() => compileModule(Uint8Array.from(bytes)));
    assert.is(error.code, code);
    assert.ok(error.message.startsWith(message), error.message);
    assert.not.match(error.message, "\n");
  }
});

test("detectWasm tells modules, components and the rest apart", () => {
  assert.is(detectWasm(Uint8Array.from(preamble)), "module");
  assert.is(detectWasm(Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0)), "component");
  assert.is(detectWasm(Buffer.from("#!/bin/sh\n")), undefined);
  assert.is(detectWasm(Uint8Array.from(preamble.slice(0, 7))), undefined);
});

test("_start runs to its end, and proc_exit's status comes through from both ABIs", async () => {
  assert.is((await run(`(module (func (export "_start")))`)).status, 0);
  for (const abi of ["wasi_snapshot_preview1", "wasi_unstable"]) {
    const text = `(module (import "${abi}" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 261))))`;
    assert.is((await run(text)).status, 5);
  }
});

test("a guest cannot catch its own exit", async () => {
  const text = `(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (func (export "_start")
      (block $caught (try_table (catch_all $caught) (call $exit (i32.const 3))))
      (loop $again (br $again))))`;
  assert.is((await run(text)).status, 3);
});

test("an import that nobody grants is named before anything runs", async () => {
  const text = `(module (import "env" "secret" (func $f)) (func $g unreachable) (start $g) (func (export "_start") (call $f)))`;
  const module = await compile(text);
  const error = failure(() => runModule(module, emptyGrant));
  assert.is(error.code, "unimplemented");
  assert.match(
    error.message,
    /^module imports env\.secret \(function\), which nobody grants: left undefined/,
  );
});

test("a trap is reported with the names on its stack", async () => {
  const { status, output } = await run(
    `(module (func $inner unreachable) (func $outer (export "_start") (call $inner)))`,
  );
  assert.is(status, exitStatuses.trap);
  assert.match(output, /^trap: unreachable\nwasm backtrace:\n {4}0: inner .*\n {4}1: outer .*\n$/);
});

test("a named export gets its arguments by type, after _initialize, and its results are printed", async () => {
  const text = `(module (global $base (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $base (i32.const 100)))
    (func (export "mix") (param i32 i64 f64) (result i32 i64 f64)
      (i32.add (local.get 0) (global.get $base)) (local.get 1) (f64.mul (local.get 2) (f64.const 2))))`;
  const grant = { args: ["prog", "7", "9007199254740993", "1.25"] };
  assert.equal(await run(text, { grant, export: "mix" }), {
    status: 0,
    output: "107\n9007199254740993\n2.5\n",
  });
});

test("wrong entries and arguments are refused", async () => {
  const module = await compile(`(module (func (export "f") (param i32)) (func (export "_initialize")))`);
  assert.is(
    failure(() => runModule(module, emptyGrant)).message,
    "module is a reactor: name the export to run, as in module.wasm#name",
  );
  assert.is(failure(() => runModule(module, emptyGrant, { export: "g" })).code, "not_found");
  assert.match(
    failure(() => runModule(module, emptyGrant, { export: "f" })).message,
    "takes 1 argument (i32)",
  );
  const grant = { ...emptyGrant, args: ["prog", "seven"] };
  const error = failure(() => runModule(module, grant, { export: "f" }));
  assert.is(error.message, 'export f: argument 1, "seven", is no i32');
  assert.is(statusFromFailure(error), exitStatuses.cannotRun);
});

test("memory that grows is seen at its new size", async () => {
  const text = `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start")
      (if (i32.ne (call $random (i32.const 65536) (i32.const 8)) (i32.const 21)) (then (call $exit (i32.const 1))))
      (drop (memory.grow (i32.const 1)))
      (call $exit (call $random (i32.const 65536) (i32.const 8)))))`;
  assert.is((await run(text)).status, 0);
});

test("a shared memory works like any other", async () => {
  const text = `(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1 4 shared)
    (func (export "_start")
      (drop (memory.grow (i32.const 1)))
      (if (call $sizes (i32.const 65536) (i32.const 65540)) (then (call $exit (i32.const 1))))
      (call $exit (call $random (i32.const 65536) (i32.const 8)))))`;
  assert.is((await run(text)).status, 0);
});

test.run();
