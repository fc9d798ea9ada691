// On a machine that mounts cgroup v1 the suite runs itself again in a mount namespace where /sys/fs/cgroup is cgroup v2 and nothing
// else; controllers that v1 has are not there, so limits of memory and cpu are for cgroup-unified.test.ts.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fromBinary } from "@bufbuild/protobuf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MetricsSchema } from "../../src/api/gen/io/containerd/cgroups/v2/metrics_pb.ts";
import type { LinuxResources } from "../../src/bundle/resources.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { type Cgroup, openCgroup } from "../../src/isolation/cgroup.ts";

const inside = process.argv.includes("--inside") || cgroupLayout().mode === "v2";
const parent = `/tandem-test-v2-${process.pid}`;
const cgroup = suite("cgroup on v2");
let made: Cgroup | undefined;

function create(resources?: LinuxResources): Cgroup {
  made = openCgroup({ cgroupsPath: `${parent}/c`, namespace: "n", id: "i", resources });
  return made;
}

function runIn(group: Cgroup, script: string): ChildProcess {
  const join = group.procPaths().map((path) => `echo 0 > ${path}`);
  return spawn("sh", ["-c", [...join, script].join("\n")], { stdio: ["ignore", "pipe", "pipe"] });
}

function runToEnd(group: Cgroup, script: string): string {
  const join = group.procPaths().map((path) => `echo 0 > ${path}`);
  const { stdout, stderr } = spawnSync("sh", ["-c", [...join, script].join("\n")], {
    encoding: "utf8",
    timeout: 10_000,
  });
  return stdout + stderr;
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 5000; !holds(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > end) throw new Error(`${what}: not within 5 s`);
  }
}

cgroup.after.each(async () => {
  made?.kill(9);
  await made?.remove();
});

cgroup.after(() => {
  if (existsSync(`/sys/fs/cgroup${parent}`)) rmdirSync(`/sys/fs/cgroup${parent}`);
});

cgroup("is one directory", async () => {
  assert.is(cgroupLayout().mode, "v2");
  const group = create();
  assert.equal(group.dirs, [`/sys/fs/cgroup${parent}/c`]);
  await group.remove();
  assert.not.ok(existsSync(group.dirs[0] ?? ""));
});

cgroup("passes the controllers that the machine has down to the container", () => {
  const controllers = (path: string) => readFileSync(`/sys/fs/cgroup${path}/cgroup.controllers`, "utf8");
  create();
  assert.is(controllers(`${parent}/c`), controllers(""));
});

cgroup("freezes and thaws", async () => {
  const group = create();
  const child = runIn(group, "while :; do echo; done");
  let length = 0;
  child.stdout?.on("data", (chunk) => (length += chunk.length));
  await until(() => length > 0, "output");
  group.freeze();
  assert.match(readFileSync(`${group.dirs[0]}/cgroup.events`, "utf8"), /frozen 1/);
  group.thaw();
  await until(() => readFileSync(`${group.dirs[0]}/cgroup.events`, "utf8").includes("frozen 0"), "thawed");
});

cgroup("kills all, also what is frozen", async () => {
  const group = create();
  runIn(group, "while :; do sleep 60 & sleep 0.01; done");
  await until(() => group.pids().length > 5, "children");
  group.freeze();
  group.kill(9);
  await until(() => group.pids().length === 0, "nobody left");
});

cgroup("denies devices by a BPF program, and replaces it on update", async () => {
  const group = create();
  const script = "true < /dev/kmsg && echo opened; head -c1 /dev/zero > /dev/null && echo zero";
  assert.match(runToEnd(group, script), /Operation not permitted/);
  assert.match(runToEnd(group, script), /zero/);
  await group.update({ devices: [{ allow: true, type: "c", major: 1, minor: 11, access: "r" }] });
  assert.match(runToEnd(group, script), /opened/);
  // Only reading was allowed.
  assert.match(runToEnd(group, "echo x > /dev/kmsg"), /Operation not permitted/);
  await group.update({
    devices: [
      { allow: true, access: "rwm" },
      { allow: false, type: "c", major: 1, minor: 5, access: "rwm" },
    ],
  });
  assert.match(runToEnd(group, script), /opened/);
});

cgroup("lets a policy of everything drop the earlier program", async () => {
  const group = create();
  await group.update({ devices: [{ allow: true, access: "rwm" }] });
  assert.match(runToEnd(group, "true < /dev/kmsg && echo opened"), /opened/);
});

cgroup("names a limit whose controller is not there", () => {
  const controllers = readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8");
  if (controllers.includes("memory")) return;
  assert.throws(
    () => create({ memory: { limit: 1 << 25 } }),
    /^linux\.resources\.memory\.limit: no such cgroup file \(memory\.max\)/,
  );
  assert.not.ok(existsSync(`/sys/fs/cgroup${parent}/c`));
});

cgroup("measures in containerd's v2 message", () => {
  const group = create();
  runToEnd(group, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done");
  const { typeUrl, value } = group.stats();
  assert.is(typeUrl, "io.containerd.cgroups.v2.Metrics");
  assert.ok((fromBinary(MetricsSchema, value).cpu?.usageUsec ?? 0n) > 1000n);
});

const outside = suite("cgroup v2 in a mount namespace of its own");

outside("passes the suite", () => {
  const script = 'mount -t cgroup2 none /sys/fs/cgroup && exec "$0" "$@"';
  const self = [process.execPath, fileURLToPath(import.meta.url), "--inside"];
  const { status, stdout, stderr } = spawnSync("unshare", ["--mount", "sh", "-c", script, ...self], {
    encoding: "utf8",
  });
  assert.is(status, 0, stdout + stderr);
});

if (inside) cgroup.run();
else if (process.getuid?.() === 0) outside.run();
