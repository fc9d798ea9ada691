/** Some of the programs as images of their own: a layer of wasm, in a container of containerd, with a directory for its root. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeLayoutTar } from "oras-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { packWasmLayer, wasmPlatform } from "../../examples/wasm-image.ts";
import { makeJavascript } from "../../scripts/programs/javascript.ts";
import { makeLua } from "../../scripts/programs/lua.ts";
import { pythonProgram } from "../../scripts/programs/python.ts";
import { makeSqlite } from "../../scripts/programs/sqlite.ts";
import { tandemWasm } from "../integration/lifecycle/runtimes.ts";
import { Scene } from "../integration/lifecycle/scene.ts";

const test = suite("programs in containers");
const scene = await Scene.open({ generation: "2.1" });
test.after(() => scene[Symbol.asyncDispose]());

async function importProgram(name: string, path: string, os: "wasip1" | "wasip2" = "wasip1"): Promise<void> {
  const directory = mkdtempSync("/tmp/tp-");
  try {
    const archive = join(directory, "image.tar");
    const packed = packWasmLayer(name, os, readFileSync(path));
    await writeLayoutTar(archive, [{ name: `local.test/${name}:1`, packed, platform: wasmPlatform(os) }]);
    await scene.containerd.ctrOk(["images", "import", "--all-platforms", "--no-unpack", archive]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Ran {
  readonly status: number;
  readonly stdout: string;
}

/** @param root a directory of this machine's, which the guest has as / */
async function runProgram(name: string, args: readonly string[], root: string): Promise<Ran> {
  await using container = scene.container(
    { ...tandemWasm, image: `local.test/${name}:1` },
    {
      args: [`/${name}.wasm`, ...args],
      env: ["NAME=value"],
      rootfs: [{ type: "bind", source: root, options: ["rbind", "rw"] }],
    },
  );
  await container.run();
  return { stdout: await container.stdout.end(), status: await container.wait() };
}

function makeRoot(name: string): string {
  const root = join(scene.containerd.directory, `${name}-root`);
  mkdirSync(join(root, "data"), { recursive: true });
  return root;
}

test("CPython reads and writes the root, and ends with its own status", async () => {
  await importProgram("python", pythonProgram());
  const root = makeRoot("python");
  writeFileSync(join(root, "data/in.json"), '{"numbers": [1, 2, 3]}');
  const source = `import json, os, sys
numbers = json.load(open("/data/in.json"))["numbers"]
open("/data/out", "w").write(str(sum(numbers)))
print(os.environ["NAME"], sys.argv[1:])
sys.exit(7)`;
  assert.equal(await runProgram("python", ["-c", source, "a b"], root), {
    stdout: "value ['a b']\n",
    status: 7,
  });
  assert.is(readFileSync(join(root, "data/out"), "utf8"), "6");
});

test("SQLite's database outlives its container", async () => {
  await importProgram("sqlite3", await makeSqlite());
  const root = makeRoot("sqlite3");
  const sql = (statement: string): Promise<Ran> =>
    runProgram("sqlite3", ["-batch", "/data/kept.db", statement], root);
  assert.is((await sql("CREATE TABLE t(a); INSERT INTO t VALUES (1), (2), (39)")).status, 0);
  assert.equal(await sql("SELECT sum(a) FROM t; PRAGMA integrity_check"), { stdout: "42\nok\n", status: 0 });
});

test("Lua's errors are caught, and those that are not are its status", async () => {
  await importProgram("lua", await makeLua());
  const root = makeRoot("lua");
  const caught = "print(select(2, pcall(error, {code = 2})).code) os.exit(3)";
  assert.equal(await runProgram("lua", ["-e", caught], root), { stdout: "2\n", status: 3 });
  assert.is((await runProgram("lua", ["-e", "error('uncaught')"], root)).status, 1);
});

test("a component of JavaScript has the root for its only directory", async () => {
  await importProgram("command", await makeJavascript("command"), "wasip2");
  const root = makeRoot("command");
  const { stdout, status } = await runProgram("command", ["x"], root);
  assert.is(status, 0, stdout);
  assert.match(stdout, /^x \[.*\["NAME","value"\].*\]\n\/ 22n written by JavaScript\n/);
  assert.match(stdout, /\nrefused: not-permitted\n/);
});

test("nothing is left", () => scene.containerd.assertClean());

test.run();
