/** The systemd cgroup driver against the systemd of this machine; `npm run test:vm` has one. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { LinuxResources } from "../../src/bundle/resources.ts";
import { spawnPlaceholder } from "../../src/executor/placeholder.ts";
import type { Cgroup } from "../../src/isolation/cgroup.ts";
import { openScope } from "../../src/isolation/systemd/open-scope.ts";
import { loadScope } from "../../src/isolation/systemd/scope.ts";
import { Household, ociBinary } from "../support/household.ts";
import { rejects } from "../support/rejects.ts";
import { skipSuite } from "../support/skip.ts";
import { createBundle, create as createContainer, executable, exitOf, specOf } from "./linux-container.ts";
import { showUnit, whyNoScopes } from "./systemd.ts";

const scopes = suite("systemd scopes");
const slice = `tandemtest${process.pid}-pod1.slice`;
const parent = `/sys/fs/cgroup/tandemtest${process.pid}.slice`;
const open: Cgroup[] = [];
let count = 0;

async function create(
  resources?: LinuxResources,
  annotations?: Readonly<Record<string, string>>,
): Promise<Cgroup> {
  const made = await openScope({
    cgroupsPath: `${slice}:test:c${++count}`,
    namespace: "n",
    id: `c${count}`,
    resources,
    annotations,
    env: {},
    placeholder: () => spawnPlaceholder(executable),
  });
  open.push(made);
  return made;
}

function runIn(group: Cgroup, script: string): ChildProcess {
  const join = group.procPaths().map((path) => `echo 0 > ${path}`);
  return spawn("sh", ["-c", [...join, script].join("\n")], { stdio: ["ignore", "pipe", "inherit"] });
}

const read = (group: Cgroup, file: string) => readFileSync(`${group.dirs[0]}/${file}`, "utf8").trim();

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 20_000; !holds(); await new Promise((resolve) => setTimeout(resolve, 20))) {
    if (Date.now() > end) throw new Error(`${what}: not within 20 s`);
  }
}

scopes.after.each(async () => {
  for (const group of open.splice(0)) {
    group.kill(9);
    await group.remove();
  }
});

scopes.after(() => {
  spawnSync("systemctl", ["stop", slice, `tandemtest${process.pid}.slice`]);
  for (const path of [`${parent}/${slice}`, parent]) if (existsSync(path)) rmdirSync(path);
});

scopes("a scope is in its slice and delegated, and systemd knows the limits as the kernel does", async () => {
  const group = await create({
    memory: { limit: 64 << 20, reservation: 32 << 20 },
    cpu: { shares: 2048, quota: 15_500, period: 50_000, cpus: "0" },
    pids: { limit: 17 },
  });
  const unit = `test-c${count}.scope`;
  assert.equal(group.dirs, [`${parent}/${slice}/${unit}`]);
  assert.is(group.unit?.name, unit);
  const known = [
    "MemoryMax",
    "MemoryLow",
    "TasksMax",
    "CPUQuotaPerSecUSec",
    "CPUQuotaPeriodUSec",
    "AllowedCPUs",
  ];
  assert.equal(showUnit(unit, "ActiveState", "Slice", "Delegate", "ControlGroup", ...known), {
    ActiveState: "active",
    Slice: slice,
    Delegate: "yes",
    ControlGroup: (group.dirs[0] ?? "").replace("/sys/fs/cgroup", ""),
    MemoryMax: String(64 << 20),
    MemoryLow: String(32 << 20),
    TasksMax: "17",
    CPUQuotaPerSecUSec: "310ms",
    CPUQuotaPeriodUSec: "50ms",
    AllowedCPUs: "0",
  });
  assert.is(read(group, "memory.max"), String(64 << 20));
  assert.is(read(group, "cpu.max"), "15500 50000");
  assert.is(read(group, "cpuset.cpus"), "0");
  assert.is(read(group, "pids.max"), "17");
});

scopes("limits are the same after systemd has read its units again", async () => {
  const group = await create({
    memory: { limit: 64 << 20 },
    pids: { limit: 17 },
    devices: [{ allow: false, access: "rwm" }],
  });
  const child = runIn(group, "exec sleep 60");
  await until(() => group.pids().includes(child.pid ?? 0), "joined");
  await group.settle();
  execFileSync("systemctl", ["daemon-reload"]);
  execFileSync("systemctl", ["set-property", "--runtime", group.unit?.name ?? "", "CPUWeight=50"]);
  assert.is(read(group, "memory.max"), String(64 << 20));
  assert.is(read(group, "pids.max"), "17");
  assert.is(read(group, "cpu.weight"), "50");
  const { status } = spawnSync("sh", ["-c", `echo 0 > ${group.dirs[0]}/cgroup.procs; true < /dev/kmsg`]);
  assert.is.not(status, 0);
});

scopes("an update reaches systemd and the kernel", async () => {
  const group = await create({ memory: { limit: 64 << 20 }, pids: { limit: 17 } });
  await loadScope(group.dirs, group.unit ?? { name: "", addresses: [] }).update({
    memory: { limit: 128 << 20 },
    cpu: { quota: 20_000, period: 100_000 },
  });
  assert.equal(showUnit(`test-c${count}.scope`, "MemoryMax", "CPUQuotaPerSecUSec", "TasksMax"), {
    MemoryMax: String(128 << 20),
    CPUQuotaPerSecUSec: "200ms",
    TasksMax: "17",
  });
  assert.is(read(group, "memory.max"), String(128 << 20));
  assert.is(read(group, "cpu.max"), "20000 100000");
});

scopes("a scope lives as long as its processes, and its name is free again at once", async () => {
  const group = await create();
  const unit = group.unit?.name ?? "";
  const child = runIn(group, "exec sleep 60");
  await until(() => group.pids().includes(child.pid ?? 0), "joined");
  await group.settle();
  assert.equal(group.pids(), [child.pid]);
  assert.is(showUnit(unit, "ActiveState")["ActiveState"], "active");
  group.kill(9);
  await group.remove();
  assert.is(showUnit(unit, "LoadState")["LoadState"], "not-found");
  assert.not.ok(existsSync(group.dirs[0] ?? ""));
  count--;
  assert.equal((await create()).dirs, group.dirs);
});

scopes("a scope that nobody removes goes with its last process", async () => {
  const group = await create();
  const child = runIn(group, "exec sleep 60");
  await until(() => group.pids().includes(child.pid ?? 0), "joined");
  await group.settle();
  group.kill(9);
  await until(() => showUnit(group.unit?.name ?? "", "LoadState")["LoadState"] === "not-found", "forgotten");
  assert.not.ok(existsSync(group.dirs[0] ?? ""));
});

scopes("the name of a unit that is there is refused", async () => {
  await create();
  count--;
  await rejects(() => create(), "already_exists", /UnitExists/);
});

scopes("annotations set what else a unit has", async () => {
  await create(undefined, {
    "org.systemd.property.TimeoutStopSec": "uint64 7",
    "org.systemd.property.Wants": "['basic.target']",
  });
  assert.equal(showUnit(`test-c${count}.scope`, "TimeoutStopUSec", "Wants"), {
    TimeoutStopUSec: "7s",
    Wants: "basic.target",
  });
});

scopes("a limit that cannot be kept leaves no unit behind", async () => {
  await rejects(
    () => create({ cpu: { cpus: "4000" } }),
    "invalid_argument",
    /^scope test-c\d+\.scope: linux\.resources\.cpu\.cpus: "4000" is refused/,
  );
  assert.is(showUnit(`test-c${count}.scope`, "LoadState")["LoadState"], "not-found");
  assert.not.ok(existsSync(`${parent}/${slice}/test-c${count}.scope`));
});

scopes("freezing, thawing and OOM kills are seen in a scope", async () => {
  const group = await create({ memory: { limit: 32 << 20, swap: 32 << 20 } });
  let reports = 0;
  const stop = group.watchOom(() => reports++);
  const child = runIn(group, "exec tail /dev/zero");
  await until(() => reports > 0, "the report");
  stop();
  assert.is(group.oomKills(), 1);
  await until(() => child.exitCode !== null || child.signalCode !== null, "the end");
  const other = runIn(group, "exec sleep 60");
  await until(() => group.pids().includes(other.pid ?? 0), "joined");
  group.freeze();
  assert.match(read(group, "cgroup.events"), /frozen 1/);
  group.thaw();
});

scopes("a container runs in a scope, and sees it as the root of a cgroup mount", async () => {
  const bundle = createBundle();
  const group = await create({ pids: { limit: 77 } });
  try {
    const spec = specOf("cat /proc/1/cgroup /sys/fs/cgroup/pids.max; exec sleep 60", {
      mounts: [
        { destination: "/proc", type: "proc", source: "proc" },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] },
      ],
      linux: { namespaces: ["pid", "mount", "uts", "cgroup"].map((type) => ({ type })) },
    });
    const cgroupHierarchies = () => [
      { version: 2 as const, controllers: [], mountPoint: "/sys/fs/cgroup", directory: group.dirs[0] ?? "" },
    ];
    const { container, output } = await createContainer(bundle, spec, { cgroupHierarchies }, group);
    await group.settle();
    assert.equal(group.pids(), [container.init.pid]);
    await container.init.start();
    await until(() => output().includes("77"), "output");
    assert.is(output(), "0::/\n77\n");
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

scopes("the command line makes, updates and removes a scope", async () => {
  const bundle = createBundle();
  const id = `tandemtest-${process.pid}`;
  const unit = `oci-${id}.scope`;
  const spec = specOf("exec sleep 60", { linux: { cgroupsPath: `${slice}:oci:${id}` } });
  writeFileSync(join(bundle.path, "config.json"), JSON.stringify(spec));
  const household = new Household(bundle.path);
  const oci = (...args: string[]) => {
    const result = spawnSync(ociBinary, ["--root", join(bundle.path, "root"), "--systemd-cgroup", ...args], {
      env: { ...process.env, ...household.environment },
      stdio: ["ignore", "ignore", "inherit"],
    });
    assert.is(result.status, 0, args.join(" "));
  };
  try {
    oci("create", "--bundle", bundle.path, id);
    assert.is(showUnit(unit, "Slice")["Slice"], slice);
    oci("start", id);
    oci("update", "--pids-limit", "33", id);
    assert.is(showUnit(unit, "TasksMax")["TasksMax"], "33");
    assert.is(readFileSync(`${parent}/${slice}/${unit}/pids.max`, "utf8"), "33\n");
    oci("delete", "--force", id);
    assert.is(showUnit(unit, "LoadState")["LoadState"], "not-found");
  } finally {
    household.end();
    bundle.remove();
  }
});

scopes("delete --force ends the scope of a damaged record, told or usual, and that of none", () => {
  for (const damage of [
    (whole: string) => JSON.stringify({ ...(JSON.parse(whole) as object), pid: "x", cgroups: 5, spec: 5 }),
    () => "",
    () => undefined,
  ]) {
    const bundle = createBundle();
    const id = `tandemtest-${process.pid}`;
    const config = specOf("exec sleep 60", { linux: { cgroupsPath: undefined } });
    writeFileSync(join(bundle.path, "config.json"), JSON.stringify(config));
    const household = new Household(bundle.path);
    const root = join(bundle.path, "root");
    const oci = (...args: string[]) => {
      const result = spawnSync(ociBinary, ["--root", root, "--systemd-cgroup", ...args], {
        env: { ...process.env, ...household.environment },
        stdio: ["ignore", "ignore", "inherit"],
      });
      assert.is(result.status, 0, args.join(" "));
    };
    try {
      oci("create", "--bundle", bundle.path, id);
      oci("start", id);
      const file = join(root, id, "state.json");
      const whole = readFileSync(file, "utf8");
      const { pid, unit } = JSON.parse(whole) as {
        readonly pid: number;
        readonly unit: { readonly name: string };
      };
      assert.match(unit.name, new RegExp(`^tandem-oci-[0-9a-f]{8}-${id}\\.scope$`));
      const content = damage(whole);
      if (content === undefined) rmSync(file);
      else writeFileSync(file, content);
      oci("delete", "--force", id);
      assert.is(showUnit(unit.name, "LoadState")["LoadState"], "not-found");
      assert.not.ok(existsSync(`/proc/${pid}/exe`));
      assert.not.ok(existsSync(join(root, id)));
    } finally {
      household.end();
      bundle.remove();
    }
  }
});

const missing = whyNoScopes();
if (missing !== undefined) skipSuite("systemd scopes", missing);
else scopes.run();
