import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Finished } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { recordPid, writeStateFile } from "../../src/bundle/state-file.ts";
import { processStat } from "../../src/process-stat.ts";
import { Installation, isGone } from "./installation.ts";

interface Context {
  tandem: Installation;
  bundle: string;
  children: ChildProcess[];
}

const remove = suite<Context>("launcher delete");
const nowhere = { cgroups: [], mounts: [], socket: "/nowhere", poststop: [] };

remove.before.each((context) => {
  context.tandem = new Installation();
  context.bundle = context.tandem.bundle("c1");
  context.children = [];
});
remove.after.each(async (context) => {
  for (const child of context.children) child.kill("SIGKILL");
  await waitFor(
    () => context.children.every((child) => isGone(child.pid ?? 0)),
    5000,
    "the end of the test's processes",
  );
  await context.tandem.dispose();
});

function deleteIn(
  context: Context,
  parameters: readonly string[] = ["-bundle", context.bundle],
): Promise<Finished> {
  return context.tandem.run(["-namespace", "ns", "-id", "c1", ...parameters, "delete"], { directory: "/" });
}

function sleeper(context: Context): number {
  const child = spawn("sleep", ["600"], { stdio: "ignore" });
  context.children.push(child);
  return child.pid ?? 0;
}

/** DeleteResponse: 1 pid (varint), 2 exit_status (varint), 3 exited_at (Timestamp: 1 seconds). */
function parseResponse(stdout: string): { pid: number; exitStatus: number; seconds: number } {
  const bytes = Buffer.from(stdout, "latin1");
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  const response = { pid: 0, exitStatus: 0, seconds: 0 };
  while (at < bytes.length) {
    const tag = varint();
    if (tag === 0x08) response.pid = varint();
    else if (tag === 0x10) response.exitStatus = varint();
    else {
      assert.is(tag, 0x1a);
      const end = varint() + at;
      assert.is(varint(), 0x08);
      response.seconds = varint();
      at = end;
    }
  }
  return response;
}

/** The output as bytes: `run` decodes it as text. */
function rawDelete(context: Context, parameters: readonly string[]): string {
  const environment = { ...process.env, TANDEM_RUN_DIR: context.tandem.runDirectory };
  return spawnSync(context.tandem.launcher, [...parameters, "delete"], {
    cwd: "/",
    env: environment,
    encoding: "latin1",
  }).stdout;
}

remove("answers 137 and the time when there is nothing to do, any number of times", (context) => {
  for (const parameters of [
    ["-bundle", context.bundle],
    ["-bundle", context.bundle],
    ["-bundle", "/nowhere/at/all"],
    [],
  ]) {
    const response = parseResponse(rawDelete(context, parameters));
    assert.is(response.pid, 0);
    assert.is(response.exitStatus, 137);
    assert.ok(Math.abs(response.seconds - Date.now() / 1000) < 60);
  }
});

remove("kills the process that the state names, and only if it is still that process", async (context) => {
  const [same, other] = [sleeper(context), sleeper(context)];
  writeStateFile(context.bundle, nowhere);
  recordPid(context.bundle, same);
  const response = parseResponse(rawDelete(context, ["-bundle", context.bundle]));
  assert.is(response.pid, same);
  await waitFor(() => isGone(same), 5000, "the end of the process");
  assert.not.ok(existsSync(join(context.bundle, "tandem.state")));
  writeFileSync(join(context.bundle, "tandem.state"), `pid ${other} 12345\n`);
  assert.is((await deleteIn(context)).status, 0);
  assert.not.ok(isGone(other));
});

remove("believes no state file that others could have written", async (context) => {
  const pid = sleeper(context);
  const path = join(context.bundle, "tandem.state");
  writeStateFile(context.bundle, nowhere);
  recordPid(context.bundle, pid);
  chmodSync(path, 0o666);
  const result = await deleteIn(context);
  assert.match(result.stderr, /not a file of ours alone/);
  assert.is(result.status, 0);
  const elsewhere = join(context.tandem.directory, "state");
  writeFileSync(elsewhere, `pid ${pid} ${processStat(pid)?.startTime}\n`);
  symlinkSync(elsewhere, path);
  assert.is((await deleteIn(context)).status, 0);
  assert.not.ok(isGone(pid));
});

remove("survives any state file", async (context) => {
  const path = join(context.bundle, "tandem.state");
  const words = fc.constantFrom(
    "pid",
    "cgroup",
    "mount",
    "socket",
    "poststop",
    "/",
    "/..",
    "/sys/fs/cgroup",
    "-1",
    "0",
    "99999999999999999999",
    " ",
    "\n",
    "\0",
    "2f00",
    "302f00",
    "zz",
  );
  const states = [
    ...fc.sample(
      fc.array(words, { maxLength: 30 }).map((list) => Buffer.from(list.join(" "))),
      { numRuns: 150, seed: 1 },
    ),
    ...fc.sample(fc.uint8Array({ maxLength: 300 }), { numRuns: 100, seed: 2 }),
    Buffer.alloc(2 << 20, "cgroup /x\n"),
  ];
  const processes = readdirSync("/sys/fs/cgroup").length;
  for (const state of states) {
    rmSync(path, { force: true });
    writeFileSync(path, state, { mode: 0o600 });
    const result = await deleteIn(context);
    assert.is(result.status, 0, JSON.stringify(state.toString()));
  }
  assert.is(readdirSync("/sys/fs/cgroup").length, processes);
});

remove("removes the group's socket only when nobody answers on it", async (context) => {
  await context.tandem.start("c1");
  const [name] = context.tandem.sockets();
  const socket = join(context.tandem.runDirectory, "s", name ?? "");
  writeStateFile(context.bundle, { ...nowhere, socket });
  await deleteIn(context);
  assert.ok(existsSync(socket), "removed under a live shim");
  await context.tandem.killZygote();
  writeStateFile(context.bundle, { ...nowhere, socket });
  await deleteIn(context);
  assert.not.ok(existsSync(socket), "left although dead");
});

remove("removes nothing that is no socket, and no socket of others", async (context) => {
  await context.tandem.start("c1");
  const file = join(context.tandem.runDirectory, "s", "0".repeat(64));
  writeFileSync(file, "x");
  writeStateFile(context.bundle, { ...nowhere, socket: file });
  await deleteIn(context);
  assert.ok(existsSync(file));
  const [name] = context.tandem.sockets().filter((entry) => !entry.startsWith("000"));
  const dead = join(context.tandem.directory, "other.sock");
  await context.tandem.killZygote();
  renameSync(join(context.tandem.runDirectory, "s", name ?? ""), dead);
  writeStateFile(context.bundle, { ...nowhere, socket: dead });
  await deleteIn(context);
  assert.ok(existsSync(dead));
});

remove(
  "runs poststop hooks once, with the state on stdin, their own environment and a bounded time",
  async (context) => {
    const out = join(context.tandem.directory, "out");
    writeFileSync(join(context.bundle, "config.json"), JSON.stringify({ annotations: { a: "b" } }));
    const script = `cat > ${out}; echo "$A" "$1" >> ${out}; echo noise`;
    const poststop = [
      { path: "/bin/false", args: [], env: [], timeout: 0 },
      { path: "/bin/sleep", args: ["sleep", "100"], env: [], timeout: 1 },
      { path: "/bin/sh", args: ["sh", "-c", script, "sh", "one two"], env: ["A=x=y"], timeout: 2 },
    ];
    writeStateFile(context.bundle, { ...nowhere, poststop });
    const began = Date.now();
    const result = await deleteIn(context);
    assert.ok(Date.now() - began < 4500);
    assert.is(result.status, 0);
    assert.match(result.stderr, /poststop \/bin\/false: failed/);
    assert.match(result.stderr, /poststop \/bin\/sleep: Connection timed out/);
    assert.not.match(result.stdout, /noise/);
    const text = readFileSync(out, "utf8");
    const end = text.lastIndexOf("}") + 1;
    assert.equal(JSON.parse(text.slice(0, end)), {
      ociVersion: "1.3.0",
      id: "c1",
      status: "stopped",
      bundle: context.bundle,
      annotations: { a: "b" },
    });
    assert.is(text.slice(end), "x=y one two\n");
    rmSync(out);
    await deleteIn(context);
    assert.not.ok(existsSync(out));
  },
);

remove.run();
