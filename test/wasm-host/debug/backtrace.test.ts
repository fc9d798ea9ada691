import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "@bytecodealliance/jco";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { keepDeepStacks } from "../../../wasm-host/debug/backtrace.ts";
import type { GuestSources } from "../../../wasm-host/debug/source-lookup.ts";
import { trapReport } from "../../../wasm-host/trap.ts";
import { compileC } from "../wasi/p1/compile-c.ts";

const test = suite("backtrace");
const document = readFileSync(new URL("../../../docs/debugging.md", import.meta.url), "utf8");
keepDeepStacks();

/** What is said of the trap of a module's export `f`. */
function report(
  bytes: Uint8Array,
  sources: Partial<GuestSources> = {},
  imports: WebAssembly.Imports = {},
): string {
  const module = new WebAssembly.Module(bytes);
  const { f } = new WebAssembly.Instance(module, imports).exports;
  try {
    if (typeof f === "function") f();
  } catch (error) {
    return trapReport(error, { modules: [module], ...sources });
  }
  throw new Error("no trap");
}

const freestanding = ["--target=wasm32", "-nostdlib", "-Wl,--no-entry", "-g"];

test("functions have their names, files and lines", () => {
  const source = `__attribute__((noinline)) static void inner(volatile int *at) {
  *at = 1;
  __builtin_trap();
}
__attribute__((export_name("f"))) void f(void) { volatile int here; inner(&here); }
`;
  for (const version of ["-gdwarf-4", "-gdwarf-5"]) {
    const bytes = readFileSync(compileC(source, [...freestanding, version]));
    assert.match(
      report(bytes),
      /^trap: unreachable\nwasm backtrace:\n {4}0: inner at .*:3:3 \(wasm-function\[\d+\]:0x[0-9a-f]+\)\n {4}1: f at .*:5:69 \(.*\)\n$/,
    );
  }
});

test("a recursion is one line", () => {
  const text = `(module (func $down (param i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (call $down (i32.sub (local.get 0) (i32.const 1))))
    (func (export "f") (call $down (i32.const 40))))`;
  return parse(text).then((bytes) => {
    assert.match(
      report(bytes),
      /\n {4}0: down \(.*\)\n {4}1: down \(.*\), 40 times\n {3}41: <unknown> \(.*\)\n$/,
    );
    const endless = text.replace("(if (i32.eqz (local.get 0)) (then unreachable))", "");
    return parse(endless).then((deep) => {
      assert.match(report(deep), /^trap: call stack exhausted\nwasm backtrace:\n {4}0: down \(.*\).*\n/);
    });
  });
});

test("names of functions cannot write more than names", async () => {
  const bytes = await parse(`(module (func (export "f") unreachable))`);
  const text = report(withFunctionName(bytes, Buffer.from(`\u001b[2J\u202e${"x".repeat(5000)}`)));
  assert.match(text, /0: \ufffd\[2J\ufffdx{295}… \(/);
  assert.not.match(text, "\u001b");
});

/** The module with one more custom section. */
function withSection(bytes: Uint8Array, name: string, contents: readonly number[]): Uint8Array {
  const section = [...leb(name.length), ...Buffer.from(name), ...contents];
  return Uint8Array.from([...bytes, 0, ...leb(section.length), ...section]);
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)];
}

/** Function 0 is called so. */
function withFunctionName(bytes: Uint8Array, name: Uint8Array): Uint8Array {
  const functions = [1, 0, ...leb(name.length), ...name];
  return withSection(bytes, "name", [1, ...leb(functions.length), ...functions]);
}

/** One mapping: from offset `offset` on, line 7 and column 3 of assembly/index.ts. */
function sourceMap(offset: number): string {
  const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const vlq = (value: number): string => {
    let text = "";
    for (let left = value << 1; ; ) {
      const digit = left & 31;
      left >>= 5;
      text += digits[left > 0 ? digit | 32 : digit];
      if (left === 0) return text;
    }
  };
  const mappings = [offset, 0, 6, 2].map(vlq).join("");
  return JSON.stringify({ version: 3, sources: ["assembly/index.ts"], names: [], mappings });
}

async function withMap(url: string): Promise<Uint8Array> {
  const bytes = await parse(`(module (func $f (export "f") unreachable))`);
  return withSection(bytes, "sourceMappingURL", [...leb(url.length), ...Buffer.from(url)]);
}

test("a source map is taken from the module, or from the file beside it", async () => {
  const wanted = /0: f at assembly\/index\.ts:7:3 \(wasm-function\[0\]:0x/;
  const data = `data:application/json;base64,${Buffer.from(sourceMap(30)).toString("base64")}`;
  assert.match(report(await withMap(data)), wanted);
  const directory = mkdtempSync(join(tmpdir(), "tandem-map-"));
  writeFileSync(join(directory, "m.map"), sourceMap(30));
  const fd = openSync(join(directory, "m.map"), "r");
  try {
    const bytes = await withMap("./m.map");
    assert.match(report(bytes, { sourceMap: fd }), wanted);
    assert.match(report(bytes), /0: f \(/);
  } finally {
    closeSync(fd);
    rmSync(directory, { recursive: true });
  }
});

test("a broken source map, or DWARF of noise, takes nothing away", async () => {
  for (const url of ["data:,{", "data:,[]", "data:,{%22mappings%22:%22%21%22,%22sources%22:[1]}", "data:,%"])
    assert.match(report(await withMap(url)), /^trap: unreachable\nwasm backtrace:\n {4}0: f \(.*\)\n$/);
});

test("frames of several modules are told apart", async () => {
  const inner = await parse(`(module $inner (func $g (export "g") unreachable))`);
  const outer = await parse(`(module $outer (import "i" "g" (func $g)) (func $f (export "f") (call $g)))`);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(inner));
  assert.match(
    report(outer, {}, { i: { g: exports["g"] as () => void } }),
    /0: inner\.g \(.*\)\n {4}1: outer\.f \(/,
  );
});

/** Bodies of a function without parameters, by what V8 says of them. */
const causes: Readonly<Record<string, string>> = {
  unreachable: "unreachable",
  "memory access out of bounds": "(drop (i32.load (i32.const -4)))",
  "divide by zero": "(drop (i32.div_s (i32.const 1) (i32.const 0)))",
  "divide result unrepresentable": "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
  "float unrepresentable in integer range": "(drop (i32.trunc_f32_s (f32.const nan)))",
  "function signature mismatch": "(call_indirect (type $other) (i32.const 0))",
  "table index is out of bounds": "(call_indirect (type $other) (i32.const 9))",
};

for (const [cause, body] of Object.entries(causes)) {
  test(`docs/debugging.md has V8's words for: ${cause}`, async () => {
    const text = `(module (type $other (func)) (memory 1) (table 1 funcref) (func (export "f") ${body}))`;
    assert.match(report(await parse(text)), new RegExp(`^trap: ${cause}\nwasm backtrace:\n`));
    assert.ok(document.includes(`\`${cause}\``), cause);
  });
}

test("an exception that nobody catches is one", async () => {
  const bytes = await parse(`(module (tag $t) (func (export "f") (throw $t)))`);
  assert.is(report(bytes), "trap: uncaught exception\n");
});

test.run();
