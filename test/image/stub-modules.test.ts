import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { keyOfStub, makeStub } from "../../src/image/stub-module.ts";
import { StubbedComponent } from "../../src/image/stub-modules.ts";
import { ensureTranspiled } from "../../src/image/transpile.ts";
import { loadComponent } from "../../wasm-host/component.ts";
import { componentOf, features } from "../wasm-host/features/features.ts";
import { createScratch, digestOf, grantOf, Stdio, transpileGuest } from "../wasm-host/guests/guest.ts";

const test = suite("stub modules");
const scratch = createScratch();

const rich = `(module
  (type $block (func (result i32 exnref))) (type $list (array (mut (ref null exn))))
  (import "env" "f" (func (param i32))) (import "env" "m" (memory 1 2))
  (tag $t (export "tag") (param i32))
  (table (export "table") 2 funcref) (elem (i32.const 0) $g)
  (memory $hidden 1) (memory $seen (export "memory") 3) (data (memory $hidden) (i32.const 0) "x")
  (global (export "global") i32 (i32.const 5))
  (start $g)
  (func $g) (func (export "run") (param i64) (result f32) (f32.const 1)))`;

test("a stub has the imports and exports of its module, but for tags", async () => {
  const bytes = await parse(rich);
  const stub = makeStub(bytes, "4");
  const [module, stubbed] = [new WebAssembly.Module(bytes), new WebAssembly.Module(stub)];
  const { exports, imports } = WebAssembly.Module;
  assert.equal(imports(stubbed), imports(module));
  assert.equal(
    exports(stubbed),
    exports(module).filter(({ kind }) => kind !== "tag"),
  );
  assert.is(keyOfStub(stub), "4");
  assert.is(keyOfStub(bytes), undefined);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2 });
  const instance = new WebAssembly.Instance(stubbed, { env: { f: () => {}, m: memory } });
  assert.is((instance.exports["memory"] as WebAssembly.Memory).buffer.byteLength, 3 * 65_536);
  assert.throws(() => (instance.exports["run"] as (value: bigint) => unknown)(0n), /unreachable/);
});

test("modules are found at every depth, and given back", async () => {
  const inner = `(core module (func (export "a")))`;
  const component = await parse(
    `(component ${inner} (component (core module (func (export "b"))) (component ${inner})))`,
  );
  const stubbed = new StubbedComponent(component);
  for (const [key, name] of [
    ["0", "a"],
    ["1", "b"],
    ["2", "a"],
  ] as const) {
    const stub = makeStub(await parse(`(module)`), key);
    const original = new WebAssembly.Module(stubbed.original(stub));
    assert.equal(WebAssembly.Module.exports(original), [{ name, kind: "function" }]);
  }
  const other = await parse("(module)");
  assert.is(stubbed.original(other), other);
});

test("bytes that are no module end in a RangeError", async () => {
  const bytes = await parse(rich);
  const change = fc.tuple(fc.integer({ min: 8, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(bytes.length), (changes, end) => {
      const broken = Uint8Array.from(bytes);
      for (const [at, byte] of changes) broken[at] = byte;
      for (const one of [broken, broken.subarray(0, end)]) {
        try {
          makeStub(one, "0");
          new StubbedComponent(one);
        } catch (error) {
          assert.instance(error, RangeError);
        }
      }
    }),
    { numRuns: 2000 },
  );
});

/** Of the features, those that jco refuses. */
for (const name of ["exceptions, as standardised", "multiple memories"]) {
  test(`a component may have ${name}`, async () => {
    const path = join(scratch, "component.wasm");
    writeFileSync(path, await parse(componentOf(features[name] ?? "")));
    const files = await transpileGuest(path, scratch);
    const stdio = new Stdio(scratch);
    const component = loadComponent({ files, grant: grantOf(["guest"], stdio) });
    assert.is(await component.run(), 0, stdio.err);
    stdio.close();
  });
}

test("what is refused in either form is refused with the first reason, and V8's for a feature that it lacks", async () => {
  const reasonOf = async (text: string): Promise<string> => {
    const path = join(scratch, "refused.wasm");
    writeFileSync(path, await parse(text));
    try {
      await ensureTranspiled({ path, digest: digestOf(path), stateDir: join(scratch, "state") });
    } catch (error) {
      assert.instance(error, TandemError);
      return (error as TandemError).message;
    }
    return "nothing was refused";
  };
  const lifted = componentOf("(func $f (result i32) (i32.const 7))").replace(
    "(result (result))",
    "(result u64)",
  );
  assert.match(await reasonOf(lifted), /lowered result types/);
  const tags = `(component (core module $m (import "e" "t" (tag (param i32)))) (core module $n (tag (export "t") (param i32)))
    (core instance $i (instantiate $n)) (core instance (instantiate $m (with "e" (instance $i)))))`;
  assert.match(await reasonOf(tags), /exceptions proposal not enabled/);
  const wide = `(func $f (result i32) (i64.add128 (i64.const 1) (i64.const 0) (i64.const 6) (i64.const 0)) (drop) (i32.wrap_i64))`;
  assert.match(
    await reasonOf(componentOf(wide)),
    /component needs an unsupported feature: wide arithmetic: /,
  );
});

test.run();
