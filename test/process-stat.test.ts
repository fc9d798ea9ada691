import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { processStat } from "../src/process-stat.ts";

const tests = suite("processStat");

tests("it tells state, parent and start time, whatever the process is called", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tandem-stat-"));
  const program = join(directory, "a) Z 1 (b");
  copyFileSync("/bin/sleep", program);
  const child = spawn(program, ["60"]);
  try {
    await once(child, "spawn");
    const stat = processStat(child.pid ?? 0);
    assert.match(stat?.state ?? "", /^[RSD]$/);
    assert.is(stat?.parent, process.pid);
    assert.match(stat?.startTime ?? "", /^\d+$/);
    assert.ok(Number(stat?.startTime) >= Number(processStat(process.pid)?.startTime));
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

tests("of a process that there is not it tells nothing", () => {
  const { pid } = spawnSync("/bin/true");
  assert.is(processStat(pid), undefined);
});

tests.run();
