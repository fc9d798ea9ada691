import { globSync, readFileSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readCoreModule } from "../../../src/image/link/core-module.ts";
import { exposeState } from "../../../src/image/link/expose-state.ts";
import { root } from "../../docs/markdown.ts";
import { assemble } from "../../wasm-host/guests/assemble.ts";

const test = suite("core modules");

const lasting: readonly (readonly [reason: string, text: string])[] = [
  ["writes to a table", "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))"],
  ["writes to a table", "(table 1 funcref) (func (drop (table.grow (ref.null func) (i32.const 1))))"],
  ["writes to a table", "(table 1 funcref) (func (table.fill (i32.const 0) (ref.null func) (i32.const 1)))"],
  ["writes to a table", "(table 1 funcref) (func (table.copy (i32.const 0) (i32.const 0) (i32.const 1)))"],
  [
    "writes to a table",
    "(table 1 funcref) (elem func 0) (func (table.init 0 (i32.const 0) (i32.const 0) (i32.const 1)))",
  ],
  ["drops a segment", '(memory 1) (data "x") (func (data.drop 0))'],
  ["drops a segment", "(elem func 0) (func (elem.drop 0))"],
  ["a shared memory", "(memory 1 1 shared)"],
  ["a global that JavaScript cannot set", "(global (mut v128) (v128.const i64x2 0 0))"],
  ["objects of the collector", "(type (struct (field (mut i32)))) (func)"],
  [
    "objects of the collector",
    "(type $s (struct (field (mut i32)))) (global (ref $s) (struct.new $s (i32.const 1))) (func)",
  ],
];

for (const [reason, text] of lasting)
  test(`an instance cannot be put back: ${reason}, ${text}`, () => {
    assert.is(readCoreModule(assemble(`(module ${text})`)).lasting, reason);
  });

const transient = `(module
  (type $f (func (param i32) (result i32)))
  (import "a" "f" (func $imported (type $f)))
  (import "a" "g" (global (mut i32)))
  (import "a" "m" (memory 1))
  (memory $own 1 2)
  (memory (export "shown") 1)
  (table 2 funcref)
  (table $ext 1 externref)
  (tag $t (param i32))
  (global $one (mut i64) (i64.const -1))
  (global (export "two") (mut f64) (f64.const 1.5))
  (global i32 (i32.const 0x7fffffff))
  (global $ref (mut funcref) (ref.func $imported))
  (global $sum i32 (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3))))
  (elem (i32.const 0) func $body $imported)
  (elem declare func $body)
  (data (memory $own) (i32.const 0) "abc")
  (data "passive")
  (func $body (param i32) (result i32) (local i64 f32 v128 funcref)
    (block $out (result i32)
      (loop $again (br_if $again (i32.const 0)))
      (br_table $out $out (i32.const 1) (i32.const 0)))
    (if (then nop) (else (unreachable)))
    (drop (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3)))
    (drop (select (result funcref) (ref.null func) (ref.null func) (i32.const 3)))
    (drop (i64.load $own offset=65536 align=4 (i32.const 0)))
    (i64.store8 (i32.const 0) (i64.const 1))
    (drop (memory.size)) (drop (memory.grow (i32.const 1)))
    (drop (f32.const 1.5)) (drop (f64.const 2.5))
    (drop (i64.extend32_s (i64.const 3)))
    (drop (i32.trunc_sat_f64_u (f64.const 1)))
    (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 1))
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))
    (drop (table.get 0 (i32.const 0))) (drop (table.size 0))
    (drop (v128.const i64x2 1 2))
    (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 1 2) (v128.const i64x2 1 2)))
    (drop (i32x4.extract_lane 3 (v128.const i64x2 1 2)))
    (drop (v128.load32_lane offset=3 1 (i32.const 0) (v128.const i64x2 1 2)))
    (drop (v128.load64_zero (i32.const 0)))
    (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 1 2)))
    (drop (i32.atomic.rmw.add offset=4 (i32.const 0) (i32.const 1))) (atomic.fence)
    (block $caught (try_table (catch_all $caught) (throw $t (i32.const 1))))
    (drop (ref.is_null (ref.func $body)))
    (global.set $one (i64.const 5))
    (return_call_indirect (type $f) (i32.const 1) (i32.const 0)))
)`;

test("what changes an instance otherwise is its memories and mutable globals", () => {
  const module = readCoreModule(assemble(transient));
  assert.is(module.lasting, undefined);
  assert.equal(module.imports, [
    { module: "a", name: "f", signature: { params: ["i32"], results: ["i32"] } },
    { module: "a", name: "g", signature: undefined },
    { module: "a", name: "m", signature: undefined },
  ]);
  const { bytes, state } = exposeState(module);
  assert.equal(state, {
    memories: ["tandem:memory:1", "shown"],
    globals: ["tandem:global:1", "two", "tandem:global:4"],
  });
  const exports = WebAssembly.Module.exports(new WebAssembly.Module(bytes));
  assert.equal(
    exports.map(({ name, kind }) => `${kind} ${name}`),
    [
      "memory shown",
      "global two",
      "memory tandem:memory:1",
      "global tandem:global:1",
      "global tandem:global:4",
    ],
  );
});

test("state is exposed where nothing was exported, and under a name that is free", () => {
  const none = exposeState(readCoreModule(assemble("(module (memory 1) (func))")));
  assert.equal(WebAssembly.Module.exports(new WebAssembly.Module(none.bytes)), [
    { name: "tandem:memory:0", kind: "memory" },
  ]);
  const bare = exposeState(readCoreModule(assemble("(module (memory 1))")));
  assert.is(WebAssembly.Module.exports(new WebAssembly.Module(bare.bytes)).length, 1);
  const taken = exposeState(
    readCoreModule(assemble('(module (memory 1) (func (export "tandem:memory:0")))')),
  );
  assert.equal(taken.state.memories, ["tandem:memory:0'"]);
});

test("every instruction of large modules is known", () => {
  const modules = globSync("node_modules/@bytecodealliance/{jco,jco-transpile}/**/*.core*.wasm", {
    cwd: root,
  });
  assert.ok(modules.length >= 2);
  for (const path of modules) {
    const { lasting: reason } = readCoreModule(readFileSync(`${root}/${path}`));
    assert.not.match(reason ?? "", /unknown/, path);
  }
});

test.run();
