/** native/wasm: what is seen of a module without compiling it. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { call, leb, loop, makeModule, nop } from "./modules.ts";

const scan = suite("scanModule");
const BUDGET = 8192;

function chosen(bytes: Uint8Array, budget = BUDGET): number[] {
  assert.ok(WebAssembly.validate(bytes));
  return [...(native.scanModule(bytes, budget)?.chosen ?? [])];
}

scan("counts functions and the code section", () => {
  const bytes = makeModule({ imports: 2, functions: [{ body: nop }, { body: nop }, { body: nop }] });
  const { imports, functions, codeBytes, chosen: none } = native.scanModule(bytes, 0) ?? {};
  assert.equal([imports, functions, none?.length], [2, 3, 0]);
  assert.is(codeBytes, 1 + 3 * 4); // the count, and each its length, no locals, nop, end
});

scan("chooses what loops and is called once or from outside, and nothing else", () => {
  const functions = [
    { body: [...call(2), ...call(3), ...call(4), ...call(4)], exported: "_start" }, // own 0
    { body: loop(...nop) }, // own 1: never called
    { body: loop(...nop) }, // own 2: called once
    { body: nop }, // own 3: no loop
    { body: loop(...nop) }, // own 4: called twice
  ];
  assert.equal(chosen(makeModule({ functions })), [2]);
  const one = [{ body: loop(...nop) }, { body: loop(...nop), exported: "f" }];
  assert.equal(chosen(makeModule({ functions: one })), [1]);
  assert.equal(chosen(makeModule({ functions: one, table: [0] })), [0, 1]);
  assert.equal(chosen(makeModule({ functions: one, start: 0 })), [0, 1]);
});

scan("imports are counted before the module's own functions", () => {
  const functions = [{ body: [...call(0), ...call(2)], exported: "f" }, { body: loop(...nop) }];
  assert.equal(chosen(makeModule({ imports: 1, functions })), [1]);
});

scan(
  "puts deep loops first, then small functions, those called in a loop last, and keeps to the budget",
  () => {
    const deep = { body: loop(...loop(...nop)) };
    const flat = { body: loop(...nop, ...nop) };
    const small = { body: loop(...nop) };
    const inLoop = { body: loop(...loop(...loop(...nop))) };
    const main = { body: [...call(1), ...call(2), ...call(3), ...loop(...call(4))], exported: "f" };
    const bytes = makeModule({ functions: [main, flat, small, deep, inLoop] });
    // main itself has a loop, and is the largest of its depth.
    assert.equal(chosen(bytes), [3, 2, 1, 0, 4]);
    const size = (body: readonly number[]): number => body.length + 2;
    assert.equal(chosen(bytes, size(deep.body) + size(small.body)), [3, 2]);
    assert.equal(chosen(bytes, size(deep.body) - 1), [2]);
  },
);

scan("knows the length of every kind of instruction", () => {
  const i32 = [0x41, ...leb(1)];
  const kinds: Record<string, number[]> = {
    "block with a type": [0x02, 0x40, 0x0b],
    if: [...i32, 0x04, 0x40, 0x05, 0x0b],
    br_table: [0x02, 0x40, ...i32, 0x0e, 1, 0, 0, 0x0b],
    "i64, f32 and f64": [0x42, 0x7f, 0x1a, 0x43, 3, 3, 3, 3, 0x1a, 0x44, 3, 3, 3, 3, 3, 3, 3, 3, 0x1a],
    "ref.null": [0xd0, 0x70, 0x1a],
    select: [0xd0, 0x70, 0xd0, 0x70, ...i32, 0x1c, 1, 0x70, 0x1a],
    "saturating conversion": [0x43, 3, 3, 3, 3, 0xfc, 0, 0x1a],
    "v128.const and shuffle": [
      ...[0xfd, 12, ...Array(16).fill(3)],
      ...[0xfd, 12, ...Array(16).fill(3)],
      ...[0xfd, 13, ...Array(16).fill(3), 0x1a],
    ],
    "lane of a vector": [0xfd, 12, ...Array(16).fill(3), 0xfd, 21, 3, 0x1a],
    "relaxed vector": [
      ...[0xfd, 12, ...Array(16).fill(3)],
      ...[0xfd, 12, ...Array(16).fill(3)],
      ...[0xfd, ...leb(0x100), 0x1a],
    ],
    "atomic fence": [0xfe, 3, 0],
    "i31 reference": [...i32, 0xfb, 28, 0x1a],
    try_table: [0x1f, 0x40, 0, 0x0b],
    unreachable: [0x00],
    "tail call": [0x12, 1],
  };
  for (const [name, body] of Object.entries(kinds)) {
    // A loop behind it is only found by who has counted right.
    const functions = [
      { body: [...loop(...nop), ...body, ...loop(...loop(...nop))], exported: "f" },
      { body: nop },
    ];
    const bytes = makeModule({ functions });
    assert.ok(WebAssembly.validate(bytes), name);
    assert.equal(chosen(bytes), [0], name);
    const shallow = { body: loop(...nop), exported: "g" };
    // Of two, the deeper one comes first.
    assert.equal(chosen(makeModule({ functions: [...functions, shallow] })), [0, 2], name);
  }
});

scan("says nothing of what it does not understand", () => {
  const bytes = makeModule({ functions: [{ body: nop }] });
  assert.is(native.scanModule(bytes.subarray(0, bytes.length - 2), BUDGET), undefined);
  assert.is(native.scanModule(Uint8Array.of(), BUDGET), undefined);
  // A function section that claims more than V8 takes.
  const claim = Uint8Array.from([...bytes.subarray(0, 8), 3, 5, ...leb(0xffff_ffff)]);
  assert.is(native.scanModule(claim, BUDGET), undefined);
});

scan("reads any bytes without harm", () => {
  const functions = [{ body: [...call(1), ...loop(...nop)], exported: "f" }, { body: loop(...nop) }];
  const bytes = makeModule({ imports: 3, functions, table: [0, 1], start: 1 });
  const change = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      const changed = Uint8Array.from(bytes);
      for (const { at, byte } of changes) changed[at] = byte;
      const found = native.scanModule(changed, BUDGET);
      assert.ok(found === undefined || [...found.chosen].every((index) => index < found.functions));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (rest) => {
      native.scanModule(Uint8Array.from([...bytes.subarray(0, 8), ...rest]), BUDGET);
    }),
  );
});

scan.run();
