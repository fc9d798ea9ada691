import { parse } from "@bytecodealliance/jco";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findExportedFunction, readMemoryImports } from "../../src/wasm-binary/module-types.ts";

const test = suite("module types");

test("the type of an export is found behind imports, recursive types and subtypes", async () => {
  const bytes = await parse(`(module
    (rec (type $node (sub (struct (field (mut (ref null $node))) (field i8)))) (type $list (array (mut i16))))
    (type $f (func (param i32 (ref null $node)) (result v128 externref (ref $g))))
    (type $g (func (result (ref null extern))))
    (import "a" "f" (func (type $g)))
    (import "a" "t" (table 1 2 funcref))
    (import "a" "m" (memory i64 1 4 shared))
    (import "a" "g" (global (mut f64)))
    (import "a" "e" (tag (param i32)))
    (func $own (type $f) unreachable)
    (func $other (type $g) unreachable)
    (export "imported" (func 0)) (export "own" (func $own)) (export "other" (func $other))
    (export "memory" (memory 0)))`);
  assert.equal(findExportedFunction(bytes, "own"), {
    params: ["i32", "(ref null any)"],
    results: ["v128", "externref", "(ref func)"],
  });
  assert.equal(findExportedFunction(bytes, "imported"), { params: [], results: ["externref"] });
  assert.equal(findExportedFunction(bytes, "other"), { params: [], results: ["externref"] });
  assert.is(findExportedFunction(bytes, "memory"), undefined);
  assert.is(findExportedFunction(bytes, "none"), undefined);
  assert.equal(readMemoryImports(bytes), [
    { module: "a", name: "m", initial: 1n, maximum: 4n, shared: true, memory64: true },
  ]);
});

test("bytes that are no module end in a RangeError, and soon", async () => {
  const bytes = await parse(
    `(module (import "a" "m" (memory 1)) (type (struct (field i32))) (func (export "f") (param i64)))`,
  );
  const change = fc.tuple(fc.nat(bytes.length - 9), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(bytes.length), (changes, end) => {
      const broken = bytes.slice();
      for (const [at, byte] of changes) broken[8 + at] = byte;
      for (const one of [broken, broken.subarray(0, end)]) {
        try {
          findExportedFunction(one, "f");
          readMemoryImports(one);
        } catch (error) {
          assert.instance(error, RangeError);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test.run();
