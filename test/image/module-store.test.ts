import { createHash } from "node:crypto";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ModuleStore } from "../../src/image/module-store.ts";
import { rejects } from "../support/rejects.ts";

interface Context {
  stateDir: string;
  directory: string;
}

const store = suite<Context>("module store");

store.before.each((context) => {
  context.stateDir = mkdtempSync(join(tmpdir(), "tandem-modules-"));
  context.directory = join(context.stateDir, "modules/sha256");
});

store.after.each(({ stateDir }) => rmSync(stateDir, { recursive: true, force: true }));

function blobOf(bytes: Uint8Array) {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, size: bytes.length };
}

async function* chunksOf(...chunks: Uint8Array[]): AsyncIterableIterator<Uint8Array> {
  yield* chunks;
}

/** Stores a file of `size` bytes that was last used `age` seconds ago. */
async function addOld(modules: ModuleStore, fill: string, age: number): Promise<string> {
  const bytes = Buffer.alloc(100, fill);
  const path = await modules.add(blobOf(bytes), chunksOf(bytes));
  const time = Date.now() / 1000 - age;
  utimesSync(path, time, time);
  return path;
}

store("what was added is found, under its digest and byte for byte", async ({ stateDir, directory }) => {
  const modules = new ModuleStore({ stateDir });
  const bytes = Buffer.from("some module");
  const blob = blobOf(bytes);
  assert.is(modules.find(blob), undefined);
  const path = await modules.add(blob, chunksOf(bytes.subarray(0, 4), bytes.subarray(4)));
  assert.is(path, join(directory, blob.digest.slice(7)));
  assert.equal(readFileSync(path), bytes);
  assert.is(new ModuleStore({ stateDir }).find(blob), path);
});

store("bytes of another digest or size are refused and leave nothing", async ({ stateDir, directory }) => {
  const modules = new ModuleStore({ stateDir });
  const blob = blobOf(Buffer.from("right"));
  await rejects(
    () => modules.add(blob, chunksOf(Buffer.from("wrong"))),
    "failed_precondition",
    /content has digest/,
  );
  await rejects(
    () => modules.add(blob, chunksOf(Buffer.from("rig"))),
    "failed_precondition",
    /not of 5 bytes/,
  );
  await rejects(
    () => modules.add(blob, chunksOf(Buffer.alloc(1 << 20))),
    "failed_precondition",
    /not of 5 bytes/,
  );
  assert.equal(readdirSync(directory), []);
});

store(
  "a source that fails half-way leaves nothing, and a full disk is said in one line",
  async ({ stateDir, directory }) => {
    async function* failing(): AsyncIterableIterator<Uint8Array> {
      yield Buffer.from("ri");
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    }
    const add = () => new ModuleStore({ stateDir }).add(blobOf(Buffer.from("right")), failing());
    await rejects(add, "resource_exhausted", /^module store .*: sha256:.*no space left on device[^\n]*$/);
    assert.equal(readdirSync(directory), []);
  },
);

store("a file of another size than its blob's is dropped", async ({ stateDir, directory }) => {
  const modules = new ModuleStore({ stateDir });
  const bytes = Buffer.from("whole");
  const path = await modules.add(blobOf(bytes), chunksOf(bytes));
  writeFileSync(path, "who");
  assert.is(modules.find(blobOf(bytes)), undefined);
  assert.equal(readdirSync(directory), []);
});

store("the least recently used go when the bound is reached", async ({ stateDir }) => {
  const modules = new ModuleStore({ stateDir, maxBytes: 300 });
  const oldest = await addOld(modules, "a", 300);
  const middle = await addOld(modules, "b", 200);
  const newest = await addOld(modules, "c", 100);
  modules.find(blobOf(Buffer.alloc(100, "a")));
  await addOld(modules, "d", 0);
  assert.equal([oldest, middle, newest].map(existsSync), [true, false, true]);
});

store(
  "a blob that is bigger than the whole store is refused before anything is thrown out for it",
  async ({ stateDir }) => {
    const modules = new ModuleStore({ stateDir, maxBytes: 300 });
    const kept = await addOld(modules, "a", 100);
    const big = Buffer.alloc(301);
    await rejects(
      () => modules.add(blobOf(big), chunksOf(big)),
      "resource_exhausted",
      /301 bytes, the store may hold 300/,
    );
    assert.ok(existsSync(kept));
  },
);

store("what a killed writer left is removed after an hour, not before", async ({ stateDir, directory }) => {
  const modules = new ModuleStore({ stateDir });
  await addOld(modules, "a", 0);
  for (const [name, age] of [
    [".new-1-old", 2 * 3600],
    [".new-1-young", 60],
  ] as const) {
    writeFileSync(join(directory, name), "x");
    utimesSync(join(directory, name), Date.now() / 1000 - age, Date.now() / 1000 - age);
  }
  await addOld(modules, "b", 0);
  assert.equal(
    readdirSync(directory).filter((name) => name.startsWith(".")),
    [".new-1-young"],
  );
});

store("a digest that is a path is refused", async ({ stateDir }) => {
  const modules = new ModuleStore({ stateDir });
  await rejects(
    () => modules.find({ digest: "sha256:../../x", size: 1 }),
    "invalid_argument",
    /not of the form/,
  );
});

store.run();
