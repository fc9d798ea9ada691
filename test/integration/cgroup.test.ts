// Needs root and writable cgroup mounts. Everything happens below /tandem-test-<pid>, which is removed at the end.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmdirSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MetricsSchema } from "../../src/api/gen/io/containerd/cgroups/v1/metrics_pb.ts";
import type { LinuxResources } from "../../src/bundle/resources.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { type Cgroup, loadCgroup, openCgroup } from "../../src/isolation/cgroup.ts";
import { skipSuite } from "../support/skip.ts";

const parent = `/tandem-test-${process.pid}`;
const layout = cgroupLayout();
const cgroup = suite(`cgroup on ${layout.mode}`);
const open: { cgroup: Cgroup; children: ChildProcess[] }[] = [];
let count = 0;

function create(resources?: LinuxResources): Cgroup {
  const made = openCgroup({
    cgroupsPath: `${parent}/c${++count}`,
    namespace: "n",
    id: "i",
    resources,
  });
  open.push({ cgroup: made, children: [] });
  return made;
}

/** A shell that joins the cgroup by itself, as an executor's process does, and then runs the script. */
function runIn(group: Cgroup, script: string): ChildProcess {
  const join = group.procPaths().map((path) => `echo 0 > ${path}`);
  const child = spawn("sh", ["-c", [...join, script].join("\n")], { stdio: ["ignore", "pipe", "pipe"] });
  open.find((entry) => entry.cgroup === group)?.children.push(child);
  return child;
}

async function outcome(
  child: ChildProcess,
): Promise<{ code: number | null; signal: string | null; output: string }> {
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  child.stderr?.on("data", (chunk) => (output += chunk));
  return within(
    new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, output }))),
    "exit",
  );
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within 10 s`)), 10_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 5000; !holds(); await new Promise((resolve) => setTimeout(resolve, 5))) {
    if (Date.now() > end) throw new Error(`${what}: not within 5 s`);
  }
}

function directoryOf(group: Cgroup, controller: string): string {
  const { mountPoint } = layout.hierarchies.find(({ controllers }) => controllers.includes(controller)) ?? {
    mountPoint: "?",
  };
  const found = group.dirs.find((directory) => directory.startsWith(`${mountPoint}/`));
  if (found === undefined) throw new Error(`no ${controller} directory`);
  return found;
}

function readFile(group: Cgroup, controller: string, file: string): string {
  return readFileSync(`${directoryOf(group, controller)}/${file}`, "utf8").trim();
}

cgroup.after.each(async () => {
  for (const entry of open.splice(0)) {
    entry.cgroup.kill(9);
    await entry.cgroup.remove();
  }
});

cgroup.after(() => {
  for (const { mountPoint } of layout.hierarchies)
    if (existsSync(mountPoint + parent)) rmdirSync(mountPoint + parent);
});

cgroup("has a directory in every mounted hierarchy, and none after removal", async () => {
  const group = create();
  assert.is(group.dirs.length, layout.hierarchies.length);
  for (const directory of group.dirs) assert.ok(existsSync(`${directory}/cgroup.procs`), directory);
  await group.remove();
  for (const directory of group.dirs) assert.not.ok(existsSync(directory), directory);
  await group.remove();
});

cgroup("holds the process that is added to it in every hierarchy, by pid and by its own hand", async () => {
  const group = create();
  const added = spawn("sleep", ["30"]);
  await group.add(added.pid ?? 0);
  const joined = runIn(group, "exec sleep 30");
  await until(() => group.pids().length === 2, "both inside");
  assert.equal([...group.pids()].sort(), [added.pid, joined.pid].sort());
  const membership = readFileSync(`/proc/${joined.pid}/cgroup`, "utf8").trim().split("\n");
  const elsewhere = membership.filter((line) => !line.endsWith(`:${parent}/c${count}`));
  assert.equal(elsewhere, []);
});

cgroup("writes what resources say into the kernel's files", () => {
  const group = create({
    memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
    cpu: { shares: 512, quota: 25_000, period: 50_000, burst: 10_000, cpus: "0", mems: "0" },
    pids: { limit: 17 },
  });
  assert.is(readFile(group, "memory", "memory.limit_in_bytes"), String(64 << 20));
  assert.is(readFile(group, "memory", "memory.memsw.limit_in_bytes"), String(96 << 20));
  assert.is(readFile(group, "memory", "memory.soft_limit_in_bytes"), String(32 << 20));
  assert.is(readFile(group, "cpu", "cpu.shares"), "512");
  assert.is(readFile(group, "cpu", "cpu.cfs_quota_us"), "25000");
  assert.is(readFile(group, "cpu", "cpu.cfs_period_us"), "50000");
  assert.is(readFile(group, "cpu", "cpu.cfs_burst_us"), "10000");
  assert.is(readFile(group, "cpuset", "cpuset.cpus"), "0");
  assert.is(readFile(group, "pids", "pids.max"), "17");
});

cgroup("updates only what is given, up and down", async () => {
  const group = create({
    memory: { limit: 64 << 20, swap: 64 << 20 },
    pids: { limit: 17 },
    cpu: { shares: 512 },
  });
  await group.update({ memory: { limit: 128 << 20, swap: 128 << 20 } });
  assert.is(readFile(group, "memory", "memory.limit_in_bytes"), String(128 << 20));
  assert.is(readFile(group, "memory", "memory.memsw.limit_in_bytes"), String(128 << 20));
  await group.update({ memory: { limit: 32 << 20, swap: 32 << 20 } });
  assert.is(readFile(group, "memory", "memory.memsw.limit_in_bytes"), String(32 << 20));
  await group.update({ memory: { limit: -1 } });
  assert.ok(BigInt(readFile(group, "memory", "memory.memsw.limit_in_bytes")) > 2n ** 60n);
  assert.is(readFile(group, "pids", "pids.max"), "17");
  assert.is(readFile(group, "cpu", "cpu.shares"), "512");
});

cgroup(
  "refuses a limit that the kernel cannot keep, by the property's name, and leaves nothing behind",
  () => {
    const cases: [LinuxResources, RegExp][] = [
      [{ cpu: { cpus: "4000" } }, /^linux\.resources\.cpu\.cpus: "4000" is refused/],
      [{ blockIO: { leafWeight: 500 } }, /^linux\.resources\.blockIO\.leafWeight: no such cgroup file/],
      [{ network: { classID: 1 } }, /^linux\.resources\.network\.classID: no net_cls controller is mounted/],
      [{ unified: { "memory.high": "1" } }, /^linux\.resources\.unified: /],
      [{ memory: { limit: 64 << 20, swap: 32 << 20 } }, /^linux\.resources\.memory\.swap: /],
    ];
    for (const [resources, message] of cases) {
      const path = `${parent}/refused`;
      const request = { cgroupsPath: path, namespace: "n", id: "i", resources };
      assert.throws(
        () => openCgroup(request),
        (error: Error) => message.test(error.message) || assert.unreachable(error.message),
      );
      for (const { mountPoint } of layout.hierarchies) assert.not.ok(existsSync(mountPoint + path));
    }
  },
);

cgroup("refuses a cgroup that has processes, and takes over an empty one", async () => {
  const group = create();
  const again = () =>
    openCgroup({
      cgroupsPath: `${parent}/c${count}`,
      namespace: "n",
      id: "i",
      resources: undefined,
    });
  assert.equal(again().dirs, group.dirs);
  const child = spawn("sleep", ["30"]);
  await group.add(child.pid ?? 0);
  assert.throws(again, /has processes already/);
});

cgroup("stops a fork bomb at the pids limit", async () => {
  const group = create({ pids: { limit: 8 } });
  const { output } = await outcome(
    runIn(group, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait"),
  );
  assert.match(output, /[Cc]annot fork|Resource temporarily unavailable/);
  assert.match(readFile(group, "pids", "pids.events"), /max [1-9]/);
});

cgroup("reports an OOM kill, once, and counts it", async () => {
  const group = create({ memory: { limit: 24 << 20, swap: 24 << 20 } });
  let reports = 0;
  const stop = group.watchOom(() => reports++);
  const hog = "exec node -e 'const a=[];for(;;)a.push(Buffer.alloc(1<<20,1))'".replace(
    "node",
    process.execPath,
  );
  const { signal } = await outcome(runIn(group, hog));
  assert.is(signal, "SIGKILL");
  await until(() => reports > 0, "the report");
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop();
  assert.is(group.oomKills(), 1);
  assert.is(reports, 1);
});

cgroup("does not report an OOM when the cgroup is merely removed", async () => {
  const group = create({ memory: { limit: 64 << 20 } });
  let reports = 0;
  const stop = group.watchOom(() => reports++);
  await outcome(runIn(group, "true"));
  await group.remove();
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop();
  assert.is(reports, 0);
});

cgroup("freezes every process, and thaws them", async () => {
  const group = create();
  const child = runIn(group, "i=0; while :; do i=$((i+1)); echo $i; done");
  let lines = 0;
  child.stdout?.on("data", (chunk) => (lines += chunk.length));
  await until(() => lines > 0, "output");
  group.freeze();
  const cpuTime = () => readFileSync(`/proc/${child.pid}/stat`, "utf8").split(" ").slice(13, 15).join();
  const before = cpuTime();
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(cpuTime(), before);
  group.thaw();
  const seen = lines;
  await until(() => lines > seen, "output after thaw");
});

cgroup("kills all, also what is frozen and what keeps forking", async () => {
  const group = create();
  const child = runIn(group, "while :; do sleep 60 & sleep 0.01; done");
  await until(() => group.pids().length > 5, "children");
  group.freeze();
  group.kill(9);
  assert.is((await outcome(child)).signal, "SIGKILL");
  await until(() => group.pids().length === 0, "nobody left");
  await group.remove();
  assert.not.ok(existsSync(group.dirs[0] ?? ""));
});

cgroup("denies devices that no rule allows", async () => {
  const group = create({ devices: [{ allow: false, access: "rwm" }] });
  const { code, output } = await outcome(
    runIn(
      group,
      "head -c1 /dev/zero > /dev/null && echo zero; head -c1 /dev/kmsg > /dev/null || echo denied",
    ),
  );
  assert.is(code, 0);
  assert.match(output, /zero/);
  assert.match(output, /denied/);
});

cgroup("allows a device that a rule allows, and takes it back by update", async () => {
  const kmsg = { type: "c", major: 1, minor: 11, access: "rw" };
  const group = create({
    devices: [
      { allow: false, access: "rwm" },
      { allow: true, ...kmsg },
    ],
  });
  assert.is((await outcome(runIn(group, "true < /dev/kmsg && echo opened"))).output, "opened\n");
  await group.update({ devices: [{ allow: false, access: "rwm" }] });
  assert.match((await outcome(runIn(group, "true < /dev/kmsg"))).output, /Operation not permitted/);
});

cgroup("does not take the default devices away for a moment while devices are updated", async () => {
  const group = create({ devices: [{ allow: false, access: "rwm" }] });
  const child = runIn(group, "while true < /dev/null; do :; done; echo denied");
  await until(() => group.pids().length === 1, "the process");
  const kmsg = { allow: true, type: "c", major: 1, minor: 11, access: "rw" };
  for (let i = 0; i < 200; i++) await group.update({ devices: i % 2 === 0 ? [kmsg] : [] });
  assert.is(child.exitCode, null);
  group.kill(9);
  assert.is((await outcome(child)).output, "");
});

cgroup("lets everything through when the spec allows everything", async () => {
  const group = create({ devices: [{ allow: true, access: "rwm" }] });
  assert.is((await outcome(runIn(group, "true < /dev/kmsg && echo opened"))).output, "opened\n");
});

cgroup("removes cgroups that the container made below its own", async () => {
  const group = create();
  const freezer = directoryOf(group, "freezer");
  await outcome(runIn(group, `mkdir -p ${freezer}/a/b`));
  await group.remove();
  assert.not.ok(existsSync(freezer));
});

cgroup("waits for a dying process before it removes", async () => {
  const group = create();
  const child = runIn(group, "exec sleep 0.2");
  await until(() => group.pids().length === 1, "the process");
  const removed = group.remove();
  assert.instance(removed, Promise);
  await within(removed ?? Promise.resolve(), "removal");
  assert.is(child.signalCode, null);
  for (const directory of group.dirs) assert.not.ok(existsSync(directory));
});

cgroup("is the same cgroup when it is loaded from its directories", async () => {
  const group = create({ pids: { limit: 5 } });
  const loaded = loadCgroup(group.dirs);
  assert.equal(loaded.dirs, group.dirs);
  await loaded.update({ pids: { limit: 6 } });
  assert.is(readFile(group, "pids", "pids.max"), "6");
});

cgroup("measures what the container has used", async () => {
  const group = create({ memory: { limit: 256 << 20 }, pids: { limit: 9 } });
  const child = runIn(group, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 30");
  await within(new Promise((resolve) => child.stdout?.once("data", resolve)), "the loop");
  const { typeUrl, value } = group.stats();
  assert.is(typeUrl, "io.containerd.cgroups.v1.Metrics");
  const metrics = fromBinary(MetricsSchema, value);
  assert.ok((metrics.cpu?.usage?.total ?? 0n) > 1_000_000n);
  assert.ok((metrics.memory?.usage?.usage ?? 0n) > 0n);
  assert.is(metrics.memory?.usage?.limit, 268_435_456n);
  assert.is(metrics.pids?.current, 1n);
  assert.is(metrics.pids?.limit, 9n);
});

cgroup("has no stats once it is gone", async () => {
  const group = create();
  await group.remove();
  assert.throws(() => group.stats(), /not found/);
});

cgroup("makes missing parents of a cpuset usable", async () => {
  const path = `${parent}/deep/er`;
  const group = openCgroup({
    cgroupsPath: `${path}/c`,
    namespace: "n",
    id: "i",
    resources: undefined,
  });
  const { status } = spawnSync("sh", [
    "-c",
    group
      .procPaths()
      .map((file) => `echo 0 > ${file}`)
      .join(" && "),
  ]);
  await group.remove();
  for (const { mountPoint } of layout.hierarchies)
    for (const made of [path, `${parent}/deep`]) rmdirSync(mountPoint + made);
  assert.is(status, 0);
});

if (layout.mode === "v2") skipSuite("cgroup on v1", "this machine's controllers are cgroup v2");
else if (process.getuid?.() === 0) cgroup.run();
