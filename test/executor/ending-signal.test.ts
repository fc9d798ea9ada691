import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { constants, release } from "node:os";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";

const test = suite("the signal that ended a process");

const [major = 0, minor = 0] = release().split(".").map(Number);
const kernelTells = major > 6 || (major === 6 && minor >= 15);

/** The pidfd outlives the process; who its parent is does not matter. */
async function endingSignal(script: string): Promise<number | undefined> {
  const child = spawn("/bin/sh", ["-c", `read line; ${script}`], { stdio: ["pipe", "ignore", "ignore"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const pidfd = native.pidfdOpen(child.pid ?? -1);
  child.stdin.end("go\n");
  await ended;
  try {
    return native.pidfdEndingSignal(pidfd);
  } finally {
    closeSync(pidfd);
  }
}

for (const name of ["SIGSEGV", "SIGSYS", "SIGKILL"] as const) {
  test(`${name} is told by a kernel that can`, async () => {
    const number = constants.signals[name];
    assert.is(await endingSignal(`kill -${number} $$`), kernelTells ? number : undefined);
  });
}

test("a process that has exited was ended by none", async () => {
  assert.is(await endingSignal("exit 3"), kernelTells ? 0 : undefined);
});

test("one that lives has none yet", () => {
  const pidfd = native.pidfdOpen(process.pid);
  assert.is(native.pidfdEndingSignal(pidfd), undefined);
  closeSync(pidfd);
});

test.run();
