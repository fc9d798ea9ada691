/** Modules that are valid, or nearly, and as large as they can be made: they run, or one line says what is too large. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../../src/errors.ts";
import { statusFromFailure } from "../../../wasm-host/exit.ts";
import { compileModule } from "../../../wasm-host/module.ts";
import { runModule } from "../../../wasm-host/run-module.ts";
import { emptyGrant } from "../wasi/p1/guest.ts";
import type { Run } from "../wasi/p1/run-guest.ts";
import { body, exportOfStart, leb, moduleOf, name, type Sections, vector } from "./build-module.ts";

const test = suite("huge modules");
const document = readFileSync(new URL("../../../docs/wasm-features.md", import.meta.url), "utf8");

/** Its exit status, or what it was refused with. */
function outcome(sections: Sections): number | string {
  const bytes = moduleOf(sections);
  try {
    return runModule({ module: compileModule(bytes), bytes }, emptyGrant);
  } catch (error) {
    assert.instance(error, TandemError, String(error));
    assert.is(statusFromFailure(error as TandemError), 126);
    assert.not.match((error as TandemError).message, "\n");
    return (error as TandemError).message;
  }
}

const functions = (count: number): Sections => ({
  function: vector(count, [0]),
  code: vector(count, body([])),
});
const imports = (count: number): Sections => ({
  type: vector(2, (index) => Uint8Array.from(index === 0 ? [0x60, 0, 0] : [0x60, 0, 1, 0x7f])),
  import: vector(count, Uint8Array.from([...name("wasi_snapshot_preview1"), ...name("sched_yield"), 0, 1])),
  export: exportOfStart(count),
});
const exports = (count: number): Sections => ({
  export: vector(count, (index) => Uint8Array.from([...name(index === 0 ? "_start" : `e${index}`), 0, 0])),
});
const locals = (count: number): Sections => ({ code: vector(1, body([], [1, ...leb(count), 0x7e])) });
const size = (bytes: number): Sections => ({ code: vector(1, body(new Uint8Array(bytes - 2).fill(1))) });
const params = (count: number): Sections => ({
  type: vector(2, (index) => Uint8Array.from([0x60, ...vector(index === 0 ? 0 : count, [0x7f]), 0])),
});
const memory = (pages: number): Sections => ({ memory: vector(1, [0, ...leb(pages)]) });
const memory64 = (pages: number): Sections => ({ memory: vector(1, [4, ...leb(pages)]) });
const table = (elements: number): Sections => ({ table: vector(1, [0x70, 0, ...leb(elements)]) });
const data = (count: number): Sections => ({
  memory: vector(1, [0, 1]),
  data: vector(count, [0, 0x41, 0, 0x0b, 0]),
});

/** What the engine takes at most, as docs/wasm-features.md has it. */
const limits: readonly [what: string, make: (count: number) => Sections, most: number][] = [
  ["functions", functions, 1_000_000],
  ["types", (count) => ({ type: vector(count, [0x60, 0, 0]) }), 1_000_000],
  ["imports", imports, 1_000_000],
  ["exports", exports, 1_000_000],
  ["data segments", data, 100_000],
  ["bytes of a function", size, 7_654_321],
  ["locals", locals, 50_000],
  ["parameters", params, 1000],
  ["elements of a table", table, 10_000_000],
  ["pages of a memory", memory, 65_536],
  ["pages with 64-bit addresses", memory64, 262_144],
];

for (const [what, make, most] of limits) {
  test(`${what}: ${most}, and no more`, () => {
    assert.ok(document.includes(most.toLocaleString("en")), `the docs do not have ${most}`);
    // The engine has room for as many; it need not be proven each time for what takes seconds.
    if (most < 1_000_000 || what === "functions" || what === "types") assert.is(outcome(make(most)), 0);
    assert.match(outcome(make(most + 1)) as string, /^module is too large: /);
  });
}

test("blocks in blocks, a million deep", () => {
  const depth = 1_000_000;
  const code = new Uint8Array(depth * 3).fill(0x0b);
  for (let at = 0; at < depth * 2; at += 2) code.set([0x02, 0x40], at);
  assert.is(outcome({ code: vector(1, body(code)) }), 0);
});

test("65,536 imports that nobody grants: the first is named", () => {
  const foreign = vector(65_536, (index) => Uint8Array.from([...name("env"), ...name(`f${index}`), 0, 0]));
  const message = outcome({ import: foreign, export: exportOfStart(65_536) });
  assert.match(message as string, /^module imports env\.f0 \(function\), which nobody grants/);
});

test("65,536 imports of WASI are linked", () => {
  assert.is(outcome(imports(65_536)), 0);
});

test("a data segment of 64 MB", () => {
  const segment = [0, 0x41, 0, 0x0b, ...leb(64 << 20)];
  const sections = { memory: vector(1, [0, ...leb(1024)]) };
  const contents = Buffer.concat([Buffer.from([1, ...segment]), Buffer.alloc(64 << 20)]);
  assert.is(outcome({ ...sections, data: contents }), 0);
});

test("a hundred memories of 4 GiB are addresses, not memory", () => {
  assert.is(outcome({ memory: vector(100, [0, ...leb(65_536)]) }), 0);
});

const runner = fileURLToPath(new URL("../wasi/p1/run-guest.ts", import.meta.url));

/** In a process of its own: it ends with its guest. */
async function endOf(text: string): Promise<{ status: number | null; stderr: string }> {
  const directory = mkdtempSync(join(tmpdir(), "tandem-huge-"));
  try {
    const wasm = join(directory, "guest.wasm");
    writeFileSync(wasm, await parse(text));
    const request: Run = { wasm };
    const args = ["--no-warnings", "--max-old-space-size=64", runner, JSON.stringify(request)];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
    return { status, stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const full = {
  status: 134,
  stderr: "trap: out of memory: the engine's heap is full of tables, references or collected objects\n",
};

test("a guest whose objects fill the engine's heap traps", async () => {
  const text = `(module (type $a (array (mut i64))) (type $list (struct (field (ref null $list)) (field (ref $a))))
    (global $all (mut (ref null $list)) (ref.null $list))
    (func (export "_start") (loop $more
      (global.set $all (struct.new $list (global.get $all) (array.new_default $a (i32.const 1000))))
      (br $more))))`;
  assert.equal(await endOf(text), full);
});

test("tables that fill the engine's heap are a trap too", async () => {
  const tables = Array.from({ length: 20 }, (_, index) => `(table $t${index} 9000000 externref)`).join(" ");
  assert.equal(await endOf(`(module ${tables} (func (export "_start")))`), full);
});

test("a table that does not grow any more says so", async () => {
  const text = `(module (table 0 externref) (func (export "_start")
    (if (i32.ne (table.grow (ref.null extern) (i32.const 10000001)) (i32.const -1)) (then (unreachable)))))`;
  const bytes = await parse(text);
  assert.is(runModule({ module: compileModule(bytes), bytes }, emptyGrant), 0);
});

test.run();
