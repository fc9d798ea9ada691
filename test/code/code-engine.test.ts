import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CodeEngine } from "../../src/code/code-engine.ts";
import { parseStates } from "../../src/code/format.ts";
import { rejects } from "../support/rejects.ts";
import { call, loop, makeModule, nop } from "./modules.ts";

const loader = fileURLToPath(new URL("fixtures/load-code.ts", import.meta.url));
const engine = new CodeEngine("test");
const codeEngine = suite("code engine");

/** V8 keeps modules by their bytes: each test has its own. */
function moduleOf(mark: string): Uint8Array {
  const functions = [
    { body: [...call(2), ...call(0)], exported: "f" },
    { body: loop(...nop) },
    { body: nop, exported: "g" },
  ];
  return makeModule({ imports: 1, functions, mark });
}

const counts = { imports: 1, functions: 3 };

function instantiate(module: WebAssembly.Module, f: () => void): WebAssembly.Exports {
  return new WebAssembly.Instance(module, { m: { f } }).exports;
}

codeEngine("optimises the functions that it is told, and leaves the others", () => {
  const module = engine.compile(moduleOf("chosen"), counts, [1]);
  const states = (): string[] => parseStates(Buffer.from(engine.save(module)), counts);
  assert.equal(states(), ["unused", "optimised", "unused"]);
  let calls = 0;
  const { f } = instantiate(module, () => calls++);
  if (typeof f !== "function") throw new Error("no export f");
  f();
  assert.is(calls, 1);
  assert.equal(states(), ["used", "optimised", "unused"]);
  assert.equal(engine.functionsThatRan(module, counts), [0, 1]);
});

codeEngine("says nothing of a module without optimised code", () => {
  const module = engine.compile(moduleOf("plain"), counts, []);
  assert.is(engine.save(module).length, 0);
  assert.is(engine.functionsThatRan(module, counts), undefined);
});

codeEngine("code comes out, and another process runs it", () => {
  const bytes = moduleOf("kept");
  const code = engine.save(engine.compile(bytes, counts, [0, 2]));
  const directory = mkdtempSync(join(tmpdir(), "tandem-code-"));
  try {
    const files = [join(directory, "module"), join(directory, "code")] as const;
    writeFileSync(files[0], bytes);
    writeFileSync(files[1], code);
    const said = execFileSync(process.execPath, ["--no-warnings", loader, ...files], { encoding: "utf8" });
    assert.equal(JSON.parse(said), { id: engine.id, before: ["optimised", "unused", "optimised"], calls: 1 });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

codeEngine("refuses code of another V8 before V8 sees it", async () => {
  const bytes = moduleOf("foreign");
  const code = engine.save(engine.compile(bytes, counts, [0]));
  for (const at of [0, 4, 8, 12, 16]) {
    const foreign = Uint8Array.from(code);
    foreign[at] = (foreign[at] ?? 0) ^ 1;
    await rejects(() => engine.load(bytes, foreign), "failed_precondition", /code of another V8/);
  }
  await rejects(() => engine.load(bytes, Uint8Array.of()), "failed_precondition", /another V8/);
});

codeEngine("is another one for another build and for other flags", () => {
  const { id } = engine;
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.is(new CodeEngine("test").id, id);
  assert.is.not(new CodeEngine("other").id, id);
  setFlagsFromString("--wasm-tiering-budget=12999999");
  assert.is.not(new CodeEngine("test").id, id);
  setFlagsFromString("--wasm-tiering-budget=13000000");
  assert.is(new CodeEngine("test").id, id);
});

codeEngine("raises V8's own error for bytes that are no valid module", () => {
  const bytes = Uint8Array.from(moduleOf("invalid"));
  const broken = makeModule({ functions: [{ body: [0x41, 0] }] }); // leaves a value behind
  for (const wrong of [broken, bytes.subarray(0, 30)])
    assert.throws(
      () => engine.compile(wrong, counts, [0]),
      (error: unknown) => error instanceof WebAssembly.CompileError,
    );
});

codeEngine.run();
