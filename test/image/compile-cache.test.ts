import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { lockFile } from "../../src/file-lock.ts";
import { CompileCache, verifyEntry } from "../../src/image/compile-cache.ts";

const test = suite<{ directory: string; cache: CompileCache }>("compile-cache");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "tandem-test-"));
  context.cache = new CompileCache({ directory: context.directory, maxBytes: 1_000_000 });
});

test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** A build that writes these files and their manifest. */
function writing(files: Record<string, string>): (directory: string) => Promise<void> {
  return async (directory) => {
    const records: Record<string, unknown> = {};
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(directory, name), content);
      records[name] = { size: content.length, sha256: createHash("sha256").update(content).digest("hex") };
    }
    writeFileSync(
      join(directory, "manifest.json"),
      JSON.stringify({ imports: [], exports: [], suspends: false, files: records }),
    );
  };
}

const glue = writing({ "glue.js": "// glue", "a.wasm": "module" });

test("An entry is built once and found afterwards", async ({ cache }) => {
  let builds = 0;
  const build = async (directory: string): Promise<void> => {
    builds++;
    await glue(directory);
  };
  const entry = await cache.findOrBuild("key", build);
  assert.is(readFileSync(join(entry.dir, "glue.js"), "utf8"), "// glue");
  await cache.findOrBuild("key", build);
  assert.is(builds, 1);
});

test("Callers at once share one build", async ({ cache, directory }) => {
  let builds = 0;
  const build = async (target: string): Promise<void> => {
    builds++;
    await sleep(60);
    await glue(target);
  };
  const entries = await Promise.all(Array.from({ length: 5 }, () => cache.findOrBuild("key", build)));
  assert.is(builds, 1);
  assert.equal(new Set(entries.map(({ dir }) => dir)).size, 1);
  assert.equal(readdirSync(directory), ["key"], "no lock and no temporary directory is left");
});

test("A builder that was killed holds nobody up, and leaves nothing, though who forked it lives", ({
  directory,
}) => {
  const script = fileURLToPath(new URL("./fixtures/killed-builder.ts", import.meta.url));
  const preload = fileURLToPath(new URL("../../native/build/Release/tandem-dofork.so", import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--single-threaded", "--no-warnings", script, directory],
    { encoding: "utf8", timeout: 60_000, env: { LD_PRELOAD: preload } },
  );
  assert.is(status, 0, stderr);
  const [before, after] = JSON.parse(stdout) as [string[], string[]];
  assert.match(before.join(" "), /^key\.lock key\.tmp-\S+$/);
  assert.equal(after, ["key"]);
});

test("Waiting for another's build ends with the signal", async ({ cache, directory }) => {
  const unlock = lockFile(join(directory, "key.lock"), { wait: false });
  assert.ok(unlock);
  let failure: unknown;
  await cache.findOrBuild("key", glue, AbortSignal.timeout(60)).catch((error: unknown) => {
    failure = error;
  });
  assert.ok(failure instanceof Error);
  unlock();
  assert.ok(await cache.findOrBuild("key", glue));
});

test("What killed builds have left goes with the next eviction; what a living one writes stays", async ({
  cache,
  directory,
}) => {
  for (const name of ["dead.tmp-a", "dead.tmp-b", "living.tmp-c"]) mkdirSync(join(directory, name));
  for (const name of ["dead.lock", "gone.lock", "gone.lock-12-34.5"])
    writeFileSync(join(directory, name), "");
  const unlock = lockFile(join(directory, "living.lock"), { wait: false });
  await cache.findOrBuild("key", glue);
  assert.equal(readdirSync(directory).sort(), ["key", "living.lock", "living.tmp-c"]);
  unlock?.();
  cache.removeLeftovers();
  assert.equal(readdirSync(directory), ["key"]);
});

test("A build that fails leaves nothing behind", async ({ cache, directory }) => {
  let message = "";
  const failing = async (target: string): Promise<void> => {
    writeFileSync(join(target, "glue.js"), "half");
    throw new Error("no more");
  };
  await cache.findOrBuild("key", failing).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, "no more");
  assert.equal(readdirSync(directory), []);
});

const damages: Record<string, (dir: string) => void> = {
  "a file that is missing": (dir) => rmSync(join(dir, "a.wasm")),
  "a file that was cut": (dir) => writeFileSync(join(dir, "a.wasm"), "mod"),
  "glue of the same size that says something else": (dir) => writeFileSync(join(dir, "glue.js"), "// evil"),
  "a manifest that is no JSON": (dir) => writeFileSync(join(dir, "manifest.json"), "{"),
  "a manifest of something else": (dir) => writeFileSync(join(dir, "manifest.json"), '{"files":[]}'),
  "a manifest that names a file elsewhere": (dir) =>
    writeFileSync(
      join(dir, "manifest.json"),
      readFileSync(join(dir, "manifest.json"), "utf8").replace("a.wasm", "../a.wasm"),
    ),
  "no manifest": (dir) => rmSync(join(dir, "manifest.json")),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`An entry with ${what} is dropped and built again`, async ({ cache }) => {
    const { dir } = await cache.findOrBuild("key", glue);
    damage(dir);
    assert.is(cache.find("key"), undefined);
    assert.not.ok(existsSync(dir));
    await cache.findOrBuild("key", glue);
    assert.is(readFileSync(join(dir, "glue.js"), "utf8"), "// glue");
  });
}

test("An entry that cannot be looked at now stays", async ({ cache }) => {
  const { dir } = await cache.findOrBuild("key", glue);
  const held: number[] = [];
  let failure: unknown;
  try {
    for (;;) held.push(openSync("/dev/null", "r"));
  } catch {
    // No descriptor is left to read the manifest with.
    try {
      cache.find("key");
    } catch (error) {
      failure = error;
    }
  } finally {
    for (const fd of held) closeSync(fd);
  }
  assert.instance(failure, TandemError);
  assert.is((failure as TandemError).code, "resource_exhausted");
  assert.is(cache.find("key")?.dir, dir);
});

test("A file in the place of an entry is removed", async ({ cache, directory }) => {
  writeFileSync(join(directory, "key"), "not a directory");
  assert.ok(await cache.findOrBuild("key", glue));
});

test("Verifying an entry finds a core module of the right size with other bytes", async ({ cache }) => {
  const entry = await cache.findOrBuild("key", glue);
  verifyEntry(entry);
  writeFileSync(join(entry.dir, "a.wasm"), "mOdule");
  assert.ok(cache.find("key"), "a look-up checks sizes");
  assert.throws(() => verifyEntry(entry), /a\.wasm: not as it was written/);
});

test("The least recently used entries go when there are too many bytes", async ({ directory }) => {
  const cache = new CompileCache({ directory, maxBytes: 2_500 });
  const long = writing({ "glue.js": "x".repeat(900) });
  const age = (key: string, minutes: number): void => {
    const then = new Date(Date.now() - minutes * 60_000);
    utimesSync(join(directory, key, "manifest.json"), then, then);
  };
  for (const key of ["a", "b"]) await cache.findOrBuild(key, long);
  age("a", 30);
  age("b", 60);
  cache.find("b");
  await cache.findOrBuild("c", long);
  assert.equal(readdirSync(directory).sort(), ["b", "c"], "b was used last, a goes");
});

test("An entry that was used just now stays, whatever its size", async ({ directory }) => {
  const cache = new CompileCache({ directory, maxBytes: 10 });
  await cache.findOrBuild("a", glue);
  await cache.findOrBuild("b", glue);
  assert.equal(readdirSync(directory).sort(), ["a", "b"]);
});

test("A directory that cannot be made is an error that names it", async ({ directory }) => {
  writeFileSync(join(directory, "file"), "");
  const cache = new CompileCache({ directory: join(directory, "file", "components"), maxBytes: 1 });
  let message = "";
  await cache.findOrBuild("key", glue).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /^component cache .*\/file\/components: ENOTDIR/);
  mkdirSync(join(directory, "unused"));
});

test.run();
