import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, release, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { TcpPorts } from "../../src/native-surface.ts";

const { EACCES, EINPROGRESS } = constants.errno;

const wall = suite("the ports of a process that has been taken over by its guest");
const directory = mkdtempSync(join(tmpdir(), "tandem-ports-"));
wall.after(() => rmSync(directory, { recursive: true }));

interface Outcome {
  readonly landlock: boolean;
  readonly results: readonly (readonly [port: number, connect: number, bind: number])[];
}

function attack(tcpPorts: TcpPorts, ports: readonly number[]): Outcome {
  const script = fileURLToPath(new URL("./fixtures/tcp-ports.ts", import.meta.url));
  const preload = fileURLToPath(new URL("../../native/build/Release/tandem-dofork.so", import.meta.url));
  const flags = ["--single-threaded", "--v8-pool-size=0", "--no-warnings"];
  const args = [directory, JSON.stringify(tcpPorts), ...ports.map(String)];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, script, ...args], {
    encoding: "utf8",
    env: { LD_PRELOAD: preload },
    timeout: 30_000,
  });
  assert.is(status, 0, stderr);
  return JSON.parse(stdout) as Outcome;
}

const [major = 0, minor = 0] = release().split(".").map(Number);
const knowsPorts =
  (major > 6 || (major === 6 && minor >= 7)) && attack({ bind: [], connect: [] }, []).landlock;

/** High and low enough to be nobody's here. */
const [first, second] = [47_001, 47_002];

function withLandlock(name: string, body: () => void): void {
  if (knowsPorts) wall(name, body);
  else wall.skip(`${name} (no Landlock that knows ports: Linux 6.7)`, body);
}

withLandlock("it connects to and binds the ports of its grant, and no other", () => {
  const { results } = attack({ connect: [first], bind: [0, second] }, [first, second, 0]);
  assert.equal(results, [
    [first, EINPROGRESS, EACCES],
    [second, EACCES, 0],
    [0, EACCES, 0],
  ]);
});

withLandlock("without a list it has every port", () => {
  assert.equal(attack({ bind: undefined, connect: undefined }, [first]).results, [[first, EINPROGRESS, 0]]);
});

withLandlock("an empty list is none", () => {
  assert.equal(attack({ bind: [], connect: [] }, [first]).results, [[first, EACCES, EACCES]]);
});

wall.run();
