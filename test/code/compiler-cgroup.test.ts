/** Needs root and a cgroup file system, as the compiler does; skipped where it would go without. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { pino } from "pino";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openCompilerCgroup } from "../../src/code/compiler-cgroup.ts";
import { skipSuite } from "../support/skip.ts";

const log = pino({ level: "silent" });
const name = "cgroup of a compiler";
const compilerCgroup = suite(name);

/** A process in a cgroup, by the files that a compiler's child would write into. */
function sleeper(files: readonly string[]): ChildProcess {
  const child = spawn("/bin/sleep", ["60"], { stdio: "ignore" });
  for (const file of files) writeFileSync(file, String(child.pid));
  return child;
}

compilerCgroup(
  "two compilers of one machine have two, and the end of one leaves the other alone",
  async () => {
    const first = openCompilerCgroup(log);
    const second = openCompilerCgroup(log);
    if (first === undefined || second === undefined) return;
    assert.is(
      first.files.some((file) => second.files.includes(file)),
      false,
    );
    const [one, other] = [sleeper(first.files), sleeper(second.files)];
    try {
      await first.remove();
      assert.is(one.signalCode ?? (await ended(one)), "SIGKILL");
      for (const file of first.files) assert.not.ok(existsSync(dirname(file)));
      assert.is(other.signalCode, null);
      for (const file of second.files) assert.ok(existsSync(dirname(file)));
    } finally {
      await second.remove();
      await ended(other);
    }
  },
);

function ended(child: ChildProcess): Promise<NodeJS.Signals | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.signalCode);
  return new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)));
}

const probe = openCompilerCgroup(log);
await probe?.remove();
if (probe === undefined) skipSuite(name, "this user can make no cgroup here");
else compilerCgroup.run();
