import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { findCustomSection, findSection, sectionIds } from "../../../src/wasm-binary/sections.ts";
import { findPositions } from "../../../wasm-host/debug/line-table.ts";
import { compileC } from "../wasi/p1/compile-c.ts";

const test = suite("line table");

const source = `int twice(int value) {
  return value
    * 2;
}

int main(int argc, char **argv) {
  int sum = 0;
  for (int i = 0; i < argc; i++)
    sum += twice(i);
  return sum;
}
`;

interface Parts {
  readonly code: { readonly length: number };
  readonly lines: Uint8Array;
  readonly strings: { readonly str: Uint8Array; readonly lineStr: Uint8Array };
}

function compile(version: number): Parts {
  const bytes = readFileSync(compileC(source, ["-O0", `-gdwarf-${version}`]));
  const section = (name: string): Uint8Array => findCustomSection(bytes, name) ?? new Uint8Array(0);
  const code = findSection(bytes, sectionIds.code);
  return {
    code: { length: (code?.end ?? 0) - (code?.at ?? 0) },
    lines: section(".debug_line"),
    strings: { str: section(".debug_str"), lineStr: section(".debug_line_str") },
  };
}

for (const version of [2, 3, 4, 5]) {
  test(`every line of a program is found in DWARF ${version}`, () => {
    const { code, lines, strings } = compile(version);
    const all = Array.from({ length: code.length }, (_, address) => address);
    const found = [...findPositions(lines, strings, all).values()].filter(({ file }) =>
      /<stdin>|-$/.test(file),
    );
    const seen = new Set(found.map(({ line }) => line));
    for (const line of [1, 2, 3, 6, 7, 8, 9, 10]) assert.ok(seen.has(line), `line ${line} of ${[...seen]}`);
    assert.not.ok(seen.has(4) || seen.has(5) || seen.has(12), "lines without code");
    assert.ok(
      found.some(({ line, column }) => line === 9 && column === 12),
      "the call has its column",
    );
  });
}

test("each address has the row before it, whatever else is asked for", () => {
  const { code, lines, strings } = compile(4);
  const all = Array.from({ length: code.length }, (_, address) => address);
  const together = findPositions(lines, strings, all);
  for (let address = 0; address < code.length; address += 37)
    assert.equal(findPositions(lines, strings, [address]).get(address), together.get(address));
  assert.is(findPositions(lines, strings, [code.length + 1000]).size, 0);
  assert.is(findPositions(new Uint8Array(0), strings, [5]).size, 0);
});

test("whatever is in the section, the search ends without an error", async () => {
  for (const version of [4, 5]) {
    const { lines, strings, code } = compile(version);
    const change = fc.tuple(fc.nat(lines.length - 1), fc.integer({ min: 0, max: 255 }));
    const changes = fc.array(change, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.property(changes, fc.nat(lines.length), (edits, end) => {
        const broken = lines.slice();
        for (const [at, byte] of edits) broken[at] = byte;
        findPositions(broken, strings, [1, 100, code.length]);
        findPositions(broken.subarray(0, end), { str: broken, lineStr: broken }, [1, 100, code.length]);
      }),
      { numRuns: 1500 },
    );
  }
  await fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      findPositions(bytes, { str: bytes, lineStr: bytes }, [0, 1, 2 ** 32]);
    }),
  );
});

/** A unit of version 4 without files whose program is this. */
function unit(program: readonly number[]): Uint8Array {
  const header = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0];
  const body = [4, 0, header.length, 0, 0, 0, ...header, ...program];
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, 4);
  return bytes;
}

const none = { str: new Uint8Array(0), lineStr: new Uint8Array(0) };
const setAddress = (address: number): number[] => [0, 5, 2, address, 0, 0, 0];
const endSequence = [0, 1, 1];

test("functions that the linker has dropped hide nobody's lines", () => {
  const dropped = [...setAddress(0), 3, 40, 1, 2, 100, ...endSequence];
  const kept = [...setAddress(20), 3, 6, 1, 2, 30, ...endSequence];
  const found = findPositions(unit([...dropped, ...kept]), none, [10, 20, 49, 50]);
  assert.equal(
    [...found],
    [
      [20, { file: "?", line: 7, column: 0 }],
      [49, { file: "?", line: 7, column: 0 }],
    ],
  );
});

test("a unit that is not understood does not hide the next one", () => {
  const odd = unit([]);
  odd[4] = 9; // its version
  const good = unit([...setAddress(20), 1, 2, 30, ...endSequence]);
  assert.is(findPositions(Uint8Array.from([...odd, ...good]), none, [25]).get(25)?.line, 1);
});

test("a program without end is given up", () => {
  const size = 24 * 1024 * 1024;
  const bytes = new Uint8Array(size).fill(1); // copy, copy, …
  bytes.set(unit(setAddress(20)));
  new DataView(bytes.buffer).setUint32(0, size - 4, true);
  assert.is(findPositions(bytes, none, [2 ** 30]).size, 0);
});

test.run();
