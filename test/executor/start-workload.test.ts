/** A component whose core modules were changed in the cache: its process refuses them. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { sha256 } from "../../src/code/code-entry.ts";
import { TandemError } from "../../src/errors.ts";
import { startWorkload } from "../../src/executor/start-workload.ts";
import type { WasmProcess } from "../../src/executor/wasm-process.ts";

interface Context {
  entry: string;
  warnings: string[];
}

const test = suite<Context>("start of a workload");
const module = Buffer.from("a core module");
const started = { pid: 7 } as WasmProcess;
const refused = new TandemError("failed_precondition", "component.core.wasm: not what was written");

test.before.each((context) => {
  context.entry = join(mkdtempSync(join(tmpdir(), "tandem-start-")), "entry");
  context.warnings = [];
  void writeEntry(context.entry);
});
test.after.each(({ entry }) => rmSync(join(entry, ".."), { recursive: true }));

function writeEntry(entry: string): Promise<void> {
  const glue = Buffer.from("// glue");
  const files = { "component.core.wasm": module, "glue.js": glue };
  const records = Object.entries(files).map(
    ([name, bytes]) => [name, { size: bytes.length, sha256: sha256(bytes) }] as const,
  );
  mkdirSync(entry, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(entry, name), bytes);
  const manifest = { imports: [], exports: [], suspends: false, files: Object.fromEntries(records) };
  writeFileSync(join(entry, "manifest.json"), JSON.stringify(manifest));
  return Promise.resolve();
}

/** Starts a component whose process refuses so often; says how often it was spawned and transpiled. */
async function start(context: Context, refusals: number, error = refused): Promise<readonly number[]> {
  const { entry, warnings } = context;
  let [spawned, transpiled] = [0, 0];
  const options = {
    workload: { form: "component" as const, transpiled: entry, export: undefined },
    spawn: () => (++spawned > refusals ? Promise.resolve(started) : Promise.reject(error)),
    transpile: () => {
      transpiled++;
      return existsSync(entry) ? Promise.resolve() : writeEntry(entry);
    },
    warn: ({ message }: TandemError) => warnings.push(message),
  };
  try {
    assert.is(await startWorkload(options), started);
  } catch (thrown) {
    if (thrown !== error) throw thrown;
    return [spawned, transpiled, -1];
  }
  return [spawned, transpiled];
}

test("A damaged entry is dropped and made anew, and the process starts", async (context) => {
  writeFileSync(join(context.entry, "component.core.wasm"), "A core module");
  assert.equal(await start(context, 1), [2, 1]);
  assert.equal(context.warnings, [refused.message]);
});

test("What a process says of an entry that is good does not remove it", async (context) => {
  const mark = join(context.entry, "mark");
  writeFileSync(mark, "");
  assert.equal(await start(context, 1), [2, 1], "somebody else may have made it anew meanwhile");
  assert.ok(existsSync(mark));
  assert.equal(context.warnings, []);
});

test("It is started twice at most, and other failures are as they are", async (context) => {
  assert.equal(await start(context, 2), [2, 1, -1]);
  assert.equal(await start(context, 1, new TandemError("invalid_argument", "no such import")), [1, 0, -1]);
});

test("A module has no entry", async () => {
  let spawned = 0;
  const failed = await startWorkload({
    workload: { form: "module", file: ["/", "/app.wasm"], export: undefined },
    spawn: () => {
      spawned++;
      return Promise.reject(refused);
    },
    transpile: () => Promise.reject(new Error("nothing to transpile")),
    warn: () => undefined,
  }).catch((error: unknown) => error);
  assert.is(failed, refused);
  assert.is(spawned, 1);
});

test.run();
