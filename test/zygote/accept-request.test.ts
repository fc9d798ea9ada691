import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { native } from "../../src/native.ts";
import { sendSignal } from "../../src/oci/recorded-process.ts";

const self = fileURLToPath(import.meta.url);
const [role, place = ""] = process.argv.slice(2);

/** Asks, says so, and stays until it is killed. */
function ask(path: string): void {
  native.sendMessage(native.connectSeqpacket(path), Buffer.from("hello"), []);
  process.stdout.write("asked\n");
  setInterval(() => undefined, 1000);
}

/** Is asked with no more descriptors left than the connection needs, and prints what it was told. */
function acceptWithFew(path: string): void {
  const listener = native.listenSeqpacket(path);
  const asking = native.connectSeqpacket(path);
  native.sendMessage(asking, Buffer.from("hello"), []);
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    closeSync(taken.pop() ?? -1);
  }
  const { peerPid, peerPidfd, peerError, data } =
    native.acceptRequest(listener, 1000, { peerPidfd: true }) ?? {};
  for (const fd of taken) closeSync(fd);
  process.stdout.write(JSON.stringify({ peerPid, peerPidfd, peerError, length: data?.length }));
}

const tests = suite("native.acceptRequest");
let directory: string;
let listener: number;

tests.before.each(() => {
  directory = mkdtempSync(join(tmpdir(), "tandem-accept-"));
  listener = native.listenSeqpacket(join(directory, "sock"));
});
tests.after.each(() => {
  closeSync(listener);
  rmSync(directory, { recursive: true });
});

async function asker() {
  const child = spawn(process.execPath, ["--no-warnings", self, "ask", join(directory, "sock")]);
  await once(child.stdout, "data");
  return child;
}

tests("who asks is named by a descriptor as well, which outlives its number", async () => {
  const child = await asker();
  const message = native.acceptRequest(listener, 1000, { peerPidfd: true });
  assert.is(message?.peerPid, child.pid);
  assert.is(message?.data.toString(), "hello");
  assert.is(message?.peerError, undefined);
  const pidfd = message?.peerPidfd ?? -1;
  assert.ok(sendSignal(pidfd, 0));
  child.kill("SIGKILL");
  await once(child, "exit");
  assert.not.ok(sendSignal(pidfd, 0));
  for (const fd of [message?.fd ?? -1, pidfd]) closeSync(fd);
});

tests("without being asked for there is no such descriptor", async () => {
  const child = await asker();
  const message = native.acceptRequest(listener, 1000);
  assert.is(message?.peerPid, child.pid);
  assert.is(message?.peerPidfd, undefined);
  closeSync(message?.fd ?? -1);
  child.kill("SIGKILL");
});

tests("who has gone meanwhile is said to be gone", async () => {
  const child = await asker();
  child.kill("SIGKILL");
  await once(child, "exit");
  const message = native.acceptRequest(listener, 1000, { peerPidfd: true });
  assert.is(message?.peerPid, 0);
  assert.is(message?.peerPidfd, undefined);
  assert.is(message?.peerError, undefined);
  closeSync(message?.fd ?? -1);
});

tests("what is missing here is not taken for that", () => {
  const script = 'ulimit -n 100; exec "$@"';
  const command = [process.execPath, "--no-warnings", self, "few", join(directory, "few")];
  const { stdout, stderr } = spawnSync("sh", ["-c", script, "sh", ...command], { encoding: "utf8" });
  assert.equal(JSON.parse(stdout || JSON.stringify(stderr)), {
    peerPid: 0,
    peerError: "cannot look at who asks: getsockopt SO_PEERPIDFD: Too many open files",
    length: 0,
  });
});

if (role === "ask") ask(place);
else if (role === "few") acceptWithFew(place);
else tests.run();
