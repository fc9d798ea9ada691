import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const walled = suite("the wall around the transpiler");
const directory = mkdtempSync(join(tmpdir(), "tandem-walled-"));
walled.after(() => rmSync(directory, { recursive: true }));

/** With the flags and the preload that the shim's worker gets. */
function run(mode = ""): SpawnSyncReturns<string> {
  const script = fileURLToPath(new URL("./fixtures/walled.ts", import.meta.url));
  const preload = fileURLToPath(new URL("../../native/build/Release/tandem-dofork.so", import.meta.url));
  const flags = ["--single-threaded", "--v8-pool-size=0", "--no-warnings"];
  return spawnSync(process.execPath, [...flags, script, directory, mode], {
    encoding: "utf8",
    env: { LD_PRELOAD: preload },
    timeout: 30_000,
  });
}

walled("it has one directory and nothing else of the machine", () => {
  writeFileSync(join(directory, "before"), "");
  const { status, stderr, signal } = run();
  assert.equal([status, signal, stderr], [0, null, ""]);
  const { "climb out of the directory": climbed, ...rest } = JSON.parse(
    readFileSync(join(directory, "result.json"), "utf8"),
  ) as Record<string, unknown>;
  // Where the kernel has no Landlock, the empty root can be listed.
  assert.ok(
    ["EACCES", '["fs"]'].includes(typeof climbed === "string" ? climbed : JSON.stringify(climbed)),
    String(climbed),
  );
  assert.equal(rest, {
    "own directory": true,
    "read a file of the machine": "ENOENT",
    "see processes": "ENOENT",
    "start a program": "EPERM",
    "talk to the zygote's kind of socket": "EPERM",
    "signal the parent": "ESRCH",
    "open an inherited descriptor": "EBADF",
    "make a namespace": "EPERM",
    "change a mode": "EPERM",
  });
  assert.is(statSync(join(directory, "before")).mode & 0o7777, 0o644);
});

walled("a failure is one line and a status, and the parent is none the wiser about files", () => {
  const { status, stderr } = run("fail");
  assert.equal([status, stderr], [1, "first line\n"]);
  assert.not(readdirSync(directory).includes("manifest.json"));
});

walled.run();
