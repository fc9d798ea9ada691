import { suite } from "uvu";
import * as assert from "uvu/assert";
import { importAdvice } from "../../wasm-host/import-advice.ts";

const test = suite("import advice");

const known: readonly (readonly [string, string, RegExp])[] = [
  ["wasi_snapshot_preview1", "fd_write_v2", /WASI 0\.1 has no such function/],
  ["wasi", "thread_spawn", /newer wasi-sdk/],
  ["__wbindgen_placeholder__", "__wbindgen_throw", /wasm-bindgen.*wasm32-wasip1/],
  ["gojs", "runtime.wasmExit", /GOOS=wasip1/],
  ["env", "emscripten_resize_heap", /Emscripten/],
  ["env", "abort", /AssemblyScript/],
  ["env", "memory", /--import-memory/],
  ["env", "__memory_base", /statically/],
  ["env", "sqlite3_open", /link what defines it/],
  ["wasm:js-string", "length", /JavaScript/],
];

for (const [module, name, wanted] of known)
  test(`${module}.${name}`, () => assert.match(importAdvice(module, name), wanted));

test("of what is not known nothing is said", () => {
  assert.is(importAdvice("acme:anvil/drop", "now"), "");
  assert.is(importAdvice("wasi", "other"), "");
});

test.run();
