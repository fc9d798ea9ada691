/** Limits of cgroup v2, as the kernel keeps them: for machines whose controllers are there (`npm run test:vm` is one). */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MetricsSchema } from "../../src/api/gen/io/containerd/cgroups/v2/metrics_pb.ts";
import type { LinuxResources } from "../../src/bundle/resources.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import { type Cgroup, openCgroup } from "../../src/isolation/cgroup.ts";
import { skipSuite } from "../support/skip.ts";

const unified = suite("limits of cgroup v2");
const parent = `/tandem-test-unified-${process.pid}`;
const open: Cgroup[] = [];
let count = 0;

function create(resources?: LinuxResources): Cgroup {
  const made = openCgroup({ cgroupsPath: `${parent}/c${++count}`, namespace: "n", id: "i", resources });
  open.push(made);
  return made;
}

function runIn(group: Cgroup, script: string): ChildProcess {
  return spawn("sh", ["-c", `echo 0 > ${group.dirs[0]}/cgroup.procs\n${script}`], {
    stdio: ["ignore", "pipe", "pipe"],
  });
}

function outcome(child: ChildProcess): Promise<{ signal: string | null; output: string }> {
  let output = "";
  child.stdout?.on("data", (chunk) => (output += chunk));
  child.stderr?.on("data", (chunk) => (output += chunk));
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("no end within 60 s")), 60_000);
    child.on("close", (_, signal) => {
      clearTimeout(late);
      resolve({ signal, output });
    });
  });
}

const read = (group: Cgroup, file: string) => readFileSync(`${group.dirs[0]}/${file}`, "utf8").trim();
const counter = (group: Cgroup, file: string, name: string) =>
  Number(new RegExp(`(?:^|\\s)${name}[ =](\\d+)`, "m").exec(read(group, file))?.[1] ?? Number.NaN);
const metrics = (group: Cgroup) => fromBinary(MetricsSchema, group.stats().value);
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); await pause(10))
    if (Date.now() > end) throw new Error(`${what}: not within 20 s`);
}

unified.after.each(async () => {
  for (const group of open.splice(0)) {
    group.kill(9);
    await group.remove();
  }
});

unified.after(() => {
  if (existsSync(`/sys/fs/cgroup${parent}`)) rmdirSync(`/sys/fs/cgroup${parent}`);
});

unified("what resources say is in the kernel's files", () => {
  const group = create({
    memory: { limit: 64 << 20, swap: 96 << 20, reservation: 32 << 20 },
    cpu: { shares: 1024, quota: 25_000, period: 50_000, burst: 10_000, cpus: "0", mems: "0" },
    pids: { limit: 17 },
    unified: { "memory.high": "50331648", "memory.oom.group": "1" },
  });
  assert.equal(
    ["memory.max", "memory.swap.max", "memory.low", "memory.high", "memory.oom.group"].map((file) =>
      read(group, file),
    ),
    [String(64 << 20), String(32 << 20), String(32 << 20), "50331648", "1"],
  );
  assert.equal(
    ["cpu.weight", "cpu.max", "cpu.max.burst", "cpuset.cpus", "cpuset.mems", "pids.max"].map((file) =>
      read(group, file),
    ),
    ["100", "25000 50000", "10000", "0", "0", "17"],
  );
});

unified("an update changes what it gives and leaves the rest", async () => {
  const group = create({ memory: { limit: 64 << 20, swap: 64 << 20 }, pids: { limit: 17 } });
  await group.update({ memory: { limit: 128 << 20, swap: 192 << 20 } });
  assert.is(read(group, "memory.max"), String(128 << 20));
  assert.is(read(group, "memory.swap.max"), String(64 << 20));
  await group.update({ cpu: { period: 20_000 } });
  assert.is(read(group, "cpu.max"), "max 20000");
  await group.update({ memory: { limit: -1 } });
  assert.is(read(group, "memory.max"), "max");
  assert.is(read(group, "pids.max"), "17");
});

unified("a container that uses more memory than it may is killed, and that is told once", async () => {
  const group = create({ memory: { limit: 24 << 20, swap: 24 << 20 } });
  let reports = 0;
  const stop = group.watchOom(() => reports++);
  // tail keeps the last line, which never ends.
  assert.is((await outcome(runIn(group, "exec tail /dev/zero"))).signal, "SIGKILL");
  await until(() => reports > 0, "the report");
  await pause(300);
  stop();
  assert.is(group.oomKills(), 1);
  assert.is(reports, 1);
  assert.is(metrics(group).memoryEvents?.oomKill, 1n);
});

unified("a container that uses more CPU time than it may is throttled", async () => {
  const group = create({ cpu: { quota: 5_000, period: 100_000 } });
  runIn(group, "while :; do :; done");
  await until(() => counter(group, "cpu.stat", "nr_throttled") > 2, "throttled");
  const before = counter(group, "cpu.stat", "usage_usec");
  await pause(2_000);
  // A twentieth of two seconds is 100 ms.
  assert.ok(counter(group, "cpu.stat", "usage_usec") - before < 500_000);
  assert.ok((metrics(group).cpu?.nrThrottled ?? 0n) > 2n);
});

unified("a container's programs run on its CPUs only", async () => {
  const group = create({ cpu: { cpus: "0" } });
  const { output } = await outcome(runIn(group, "grep Cpus_allowed_list /proc/self/status"));
  assert.match(output, /:\t0\n/);
});

unified("a fork bomb ends at the pids limit", async () => {
  const group = create({ pids: { limit: 8 } });
  const { output } = await outcome(
    runIn(group, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait"),
  );
  assert.match(output, /[Cc]annot fork|Resource temporarily unavailable/);
  assert.ok(counter(group, "pids.events", "max") > 0);
  assert.is(metrics(group).pids?.limit, 8n);
});

unified("writing to a device is as slow as it may be, and is counted", async () => {
  const file = join(tmpdir(), `tandem-io-${process.pid}`);
  writeFileSync(file, "");
  const { dev } = statSync(file);
  // makedev(3): the disk's, of which the file system may be a partition.
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const group = create({
    blockIO: { throttleWriteBpsDevice: [{ major, minor, rate: 1 << 20 }] },
  });
  assert.match(read(group, "io.max"), new RegExp(`^${major}:${minor} .*wbps=1048576`, "m"));
  try {
    const started = Date.now();
    await outcome(runIn(group, `dd if=/dev/zero of=${file} bs=64k count=48 oflag=direct`));
    // 3 MB at 1 MB/s; the first slice is free.
    assert.ok(Date.now() - started > 1_500, `${Date.now() - started} ms`);
    assert.ok(counter(group, "io.stat", "wbytes") >= 3 << 20);
  } finally {
    rmSync(file);
  }
});

unified("a frozen container stands still, and goes on when it is thawed", async () => {
  const group = create();
  runIn(group, "while :; do :; done");
  await until(() => counter(group, "cpu.stat", "usage_usec") > 10_000, "running");
  group.freeze();
  assert.ok(group.isFrozen());
  const before = counter(group, "cpu.stat", "usage_usec");
  await pause(300);
  assert.is(counter(group, "cpu.stat", "usage_usec"), before);
  group.thaw();
  await until(() => counter(group, "cpu.stat", "usage_usec") > before, "running again");
});

unified("a kill misses nobody, not even who forks meanwhile", async () => {
  const group = create();
  const child = runIn(group, "while :; do (sleep 60 & sleep 60 &); done");
  await until(() => group.pids().length > 20, "children");
  group.kill(9);
  assert.is((await outcome(child)).signal, "SIGKILL");
  await until(() => group.pids().length === 0, "nobody left");
});

unified("pressure is in the metrics, and grows with it", async () => {
  const group = create({ cpu: { quota: 5_000, period: 100_000 } });
  assert.is(metrics(group).cpu?.psi?.some?.total, 0n);
  runIn(group, "while :; do :; done");
  await until(() => (metrics(group).cpu?.psi?.some?.total ?? 0n) > 0n, "pressure");
  assert.ok(metrics(group).memory?.psi?.full !== undefined);
  assert.ok(metrics(group).io?.psi?.full !== undefined);
});

unified("a limit that v2 does not have is refused by the property's name, and leaves nothing behind", () => {
  const cases: [LinuxResources, RegExp][] = [
    [{ memory: { swappiness: 10 } }, /^linux\.resources\.memory\.swappiness: cgroup v2 has no such limit/],
    [{ network: { classID: 1 } }, /^linux\.resources\.network\.classID: cgroup v2 has no such limit/],
    [{ cpu: { cpus: "4000" } }, /^linux\.resources\.cpu\.cpus: "4000" is refused/],
    [{ unified: { "memory.nothing": "1" } }, /memory\.nothing.*no such cgroup file/],
  ];
  for (const [resources, message] of cases) {
    const path = `${parent}/refused`;
    const request = { cgroupsPath: path, namespace: "n", id: "i", resources };
    assert.throws(() => openCgroup(request), message);
    assert.not.ok(existsSync(`/sys/fs/cgroup${path}`));
  }
});

const controllers = "/sys/fs/cgroup/cgroup.controllers";
const missing =
  cgroupLayout().mode !== "v2"
    ? "this machine's controllers are cgroup v1"
    : ["memory", "cpu", "cpuset", "io", "pids"].every((one) =>
          readFileSync(controllers, "utf8").includes(one),
        )
      ? undefined
      : "this machine's cgroup v2 lacks controllers";
if (missing !== undefined) skipSuite("limits of cgroup v2", missing);
else unified.run();
