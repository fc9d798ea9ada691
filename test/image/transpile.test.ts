import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { readComponentInterfaces } from "../../src/image/component-interfaces.ts";
import { cacheKey, ensureTranspiled, isForeignKey, jcoTranspileVersion } from "../../src/image/transpile.ts";
import { buildGuest, createScratch, digestOf } from "../wasm-host/guests/guest.ts";

const scratch = createScratch();
const command = buildGuest("command", scratch);
const http = buildGuest("http", scratch);
const test = suite("transpile");

async function failureOf(path: string, digest = digestOf(path)): Promise<TandemError> {
  const stateDir = join(scratch, "failing");
  try {
    await ensureTranspiled({ path, digest, stateDir });
  } catch (error) {
    assert.instance(error, TandemError);
    assert.equal(readdirSync(join(stateDir, "components")), [], "nothing is left behind");
    assert.not.match((error as TandemError).message, /\n/);
    return error as TandemError;
  }
  throw new Error("did not fail");
}

test("The version in the cache's key is the one that package.json pins", () => {
  const { dependencies } = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  ) as { dependencies: Record<string, string> };
  assert.is(dependencies["@bytecodealliance/jco-transpile"], jcoTranspileVersion);
});

test("A command blocks, an http component suspends", async () => {
  const stateDir = join(scratch, "state");
  const first = await ensureTranspiled({ path: command, digest: digestOf(command), stateDir });
  assert.is(first.manifest.suspends, false);
  assert.ok(first.manifest.exports.includes("wasi:cli/run@0.2.12"));
  const second = await ensureTranspiled({ path: http, digest: digestOf(http), stateDir });
  assert.is(second.manifest.suspends, true);
  assert.ok(second.manifest.imports.includes("wasi:http/outgoing-handler@0.2.12"));
});

test("The second time nothing is transpiled, not even read", async () => {
  const stateDir = join(scratch, "twice");
  const steps: string[] = [];
  const onProgress = (message: string): void => void steps.push(message);
  const digest = digestOf(command);
  await ensureTranspiled({ path: command, digest, stateDir, onProgress });
  await ensureTranspiled({ path: "/nonexistent", digest, stateDir, onProgress });
  assert.equal(steps, [`transpiling ${digest}`]);
});

test("A file that is not there is not found", async () => {
  const error = await failureOf("/nonexistent", `sha256:${"0".repeat(64)}`);
  assert.is(error.code, "not_found");
  assert.match(error.message, /\/nonexistent/);
});

test("A message names the component, not the path by which it was opened", async () => {
  const path = join(scratch, "half.wasm");
  writeFileSync(path, readFileSync(command).subarray(0, 208));
  const stateDir = join(scratch, "named");
  const request = { path, name: "/app.wasm of the image", stateDir };
  for (const digest of [digestOf(path), `sha256:${"0".repeat(64)}`]) {
    const error = await ensureTranspiled({ ...request, digest }).catch((thrown: unknown) => thrown);
    assert.instance(error, TandemError);
    const { message } = error as TandemError;
    assert.match(message, /^transpile \/app\.wasm of the image: /);
    assert.not.match(message, /half\.wasm/);
  }
});

test("A key says whether another build's transpiler made the entry", () => {
  const key = cacheKey("0".repeat(64));
  assert.match(key, /^[0-9a-f]{16}-[0-9a-f]{64}$/);
  assert.is.not(cacheKey("0".repeat(64), true), key);
  assert.not.ok(isForeignKey(key));
  assert.ok(isForeignKey(`${"0".repeat(16)}-${key.slice(17)}`));
  assert.ok(isForeignKey(key.slice(17)), "as keys were before");
});

test("Bytes that are not the digest's are refused", async () => {
  const error = await failureOf(command, `sha256:${"0".repeat(64)}`);
  assert.match(error.message, /its sha256 is not 0{64}$/);
});

test("A digest of another kind is refused", async () => {
  try {
    await ensureTranspiled({ path: command, digest: "md5:00", stateDir: scratch });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /md5:00 is not a sha256 digest/);
  }
});

test("Garbage, a core module and a component that is cut are refused in one line", async () => {
  const bad: Record<string, [Uint8Array, RegExp]> = {
    garbage: [Buffer.from("this is not WebAssembly"), /not a WebAssembly component$/],
    empty: [Buffer.alloc(0), /not a WebAssembly component$/],
    module: [Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]), /not a WebAssembly component$/],
    cut: [readFileSync(command).subarray(0, 90_000), /component is truncated: it ends at byte \d+$/],
  };
  for (const [name, [bytes, expected]] of Object.entries(bad)) {
    const path = join(scratch, `${name}.wasm`);
    writeFileSync(path, bytes);
    const error = await failureOf(path);
    assert.is(error.code, "invalid_argument", name);
    assert.match(error.message, expected, name);
  }
});

test("A component whose insides are damaged is refused in one line", async () => {
  const bytes = readFileSync(command);
  bytes.fill(0xff, 10_000, 20_000);
  const path = join(scratch, "damaged.wasm");
  writeFileSync(path, bytes);
  const error = await failureOf(path);
  assert.is(error.code, "invalid_argument");
  assert.match(error.message, /damaged\.wasm: (failed to extract|component is not valid)/);
});

test("Reading the interfaces of any prefix of a component either works or says that it is cut", () => {
  const bytes = readFileSync(http);
  for (let length = 0; length < bytes.length; length += 7) {
    try {
      readComponentInterfaces(bytes.subarray(0, length));
    } catch (error) {
      assert.instance(error, TandemError, `${length} bytes`);
    }
  }
});

test("Cancelling ends the worker and leaves nothing behind", async () => {
  const stateDir = join(scratch, "cancelled");
  const controller = new AbortController();
  let failed = false;
  await ensureTranspiled({
    path: command,
    digest: digestOf(command),
    stateDir,
    signal: controller.signal,
    onProgress: () => setTimeout(() => controller.abort(), 20),
  }).catch(() => {
    failed = true;
  });
  assert.ok(failed);
  assert.equal(readdirSync(join(stateDir, "components")), []);
});

test("Two processes at once make one entry", async () => {
  const stateDir = join(scratch, "shared");
  const program = `
    const { ensureTranspiled } = await import(${JSON.stringify(new URL("../../src/image/transpile.ts", import.meta.url).href)});
    const request = ${JSON.stringify({ path: command, digest: digestOf(command), stateDir })};
    let built = 0;
    await ensureTranspiled({ ...request, onProgress: () => built++ });
    console.log(built);`;
  const script = join(scratch, "ensure.mjs");
  writeFileSync(script, program);
  const both = execFileSync("sh", ["-c", `"$0" "$1" & "$0" "$1"; wait`, process.execPath, script], {
    encoding: "utf8",
  });
  assert.equal(both.trim().split("\n").map(Number).sort(), [0, 1]);
});

test("The glue's code cache is taken by a process with the zygote's flags", () => {
  const url = (path: string): string => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
  const script = join(scratch, "cached.mjs");
  writeFileSync(
    script,
    `const { ensureTranspiled } = await import(${url("src/image/transpile.ts")});
    const { ComponentCode } = await import(${url("wasm-host/component-code.ts")});
    const { readTranspiled } = await import(${url("wasm-host/component.ts")});
    const { dir } = await ensureTranspiled(${JSON.stringify({ path: command, digest: digestOf(command), stateDir: join(scratch, "flags") })});
    console.log(new ComponentCode({ files: readTranspiled(dir) }).glueWasCached);`,
  );
  const flags = ["--single-threaded", "--no-warnings", "--expose-gc", "--no-flush-bytecode"];
  assert.is(execFileSync(process.execPath, [...flags, script], { encoding: "utf8" }), "true\n");
});

test("A full disk is one line, and nothing is left", () => {
  const stateDir = join(scratch, "small");
  mkdirSync(stateDir);
  const script = join(scratch, "full.mjs");
  writeFileSync(
    script,
    `const { ensureTranspiled } = await import(${JSON.stringify(new URL("../../src/image/transpile.ts", import.meta.url).href)});
    const { readdirSync } = await import("node:fs");
    try {
      await ensureTranspiled(${JSON.stringify({ path: command, digest: digestOf(command), stateDir })});
    } catch (error) {
      console.log(JSON.stringify([error.code, error.message, readdirSync(${JSON.stringify(join(stateDir, "components"))})]));
    }`,
  );
  // A file system of 256 KiB in a mount namespace of its own: it goes with the process.
  const mounted = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$1" "$2"';
  const result = spawnSync(
    "unshare",
    ["-m", "--propagation", "private", "sh", "-c", mounted, stateDir, process.execPath, script],
    { encoding: "utf8" },
  );
  assert.is(result.status, 0, result.stderr);
  const [code, message, left] = JSON.parse(result.stdout) as [string, string, string[]];
  assert.is(code, "resource_exhausted");
  assert.match(message, /no space left/);
  assert.equal(left, []);
});

test("The installed bundle does not need jco itself", () => {
  const worker = readFileSync(
    fileURLToPath(new URL("../../src/image/transpile-worker.ts", import.meta.url)),
    "utf8",
  );
  assert.not.match(worker, /@bytecodealliance\/jco["/]/);
});

test.run();
