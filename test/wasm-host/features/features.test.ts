import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import { statusFromFailure } from "../../../wasm-host/exit.ts";
import { compileModule } from "../../../wasm-host/module.ts";
import { prepareModule, runModule } from "../../../wasm-host/run-module.ts";
import { emptyGrant } from "../wasi/p1/guest.ts";
import { commandOf, features, missingFeatures } from "./features.ts";

const test = suite("wasm features");

for (const [name, fields] of Object.entries(features)) {
  test(name, async () => {
    const bytes = await parse(commandOf(fields));
    assert.is(runModule({ module: compileModule(bytes), bytes }, emptyGrant), 0);
  });
}

test("the modules tell right from wrong", async () => {
  const bytes = await parse(commandOf("(func $f (result i32) (i32.const 8))"));
  assert.is(runModule({ module: compileModule(bytes), bytes }, emptyGrant), 134);
});

function refusal(bytes: Uint8Array): TandemError {
  try {
    prepareModule({ module: compileModule(bytes), bytes }, emptyGrant);
  } catch (error) {
    if (error instanceof TandemError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

for (const [name, fields] of Object.entries(missingFeatures)) {
  test(`${name}: refused by that name`, async () => {
    const error = refusal(await parse(`(module ${fields} (func (export "_start")))`));
    assert.ok(error.message.startsWith(`module needs an unsupported feature: ${name} (`), error.message);
    assert.is(statusFromFailure(error), 126);
  });
}

test("exceptions of both kinds in one module are refused", async () => {
  const fields = `(tag $t) (func try throw $t catch_all end) (func (block $h (try_table (catch_all $h))))`;
  const error = refusal(await parse(`(module ${fields} (func (export "_start")))`));
  assert.match(
    error.message,
    /^module needs an unsupported feature: exceptions of both kinds in one module \(/,
  );
});

test("builtins of JavaScript hosts are no builtins here", async () => {
  const builtin = `(import "wasm:js-string" "length" (func (param externref) (result i32)))`;
  const error = refusal(await parse(`(module ${builtin} (func (export "_start")))`));
  assert.match(error.message, /^module imports wasm:js-string\.length \(function\), which nobody grants/);
});

test("WASI 0.1 is refused to a memory with 64-bit addresses", async () => {
  const wasi = `(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))`;
  const bytes = await parse(`(module ${wasi} (memory (export "memory") i64 1) (func (export "_start")))`);
  assert.throws(
    () => runModule({ module: compileModule(bytes), bytes }, emptyGrant),
    /^module has a memory with 64-bit addresses and imports wasi_snapshot_preview1\.fd_write, whose pointers/m,
  );
});

test.run();
