/** The systemd cgroup driver where systemd has the controllers on cgroup v1; `npm run test:vm` starts a machine of that kind too. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmdirSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { cgroupHierarchies } from "../../src/executor/cgroup-hierarchies.ts";
import { spawnPlaceholder } from "../../src/executor/placeholder.ts";
import { cgroupLayout } from "../../src/isolation/cgroup/layout.ts";
import type { Cgroup } from "../../src/isolation/cgroup.ts";
import { openScope } from "../../src/isolation/systemd/open-scope.ts";
import { skipSuite } from "../support/skip.ts";
import { createBundle, create as createContainer, executable, exitOf, specOf } from "./linux-container.ts";

const scopes = suite("systemd scopes on cgroup v1");
const slice = `tandemtest${process.pid}.slice`;
const kmsg = { type: "c", major: 1, minor: 11, access: "rw" };
const { hierarchies } = cgroupLayout();
const unit = "test-v1.scope";
let made: Cgroup | undefined;

async function create(): Promise<Cgroup> {
  made = await openScope({
    cgroupsPath: `${slice}:test:v1`,
    namespace: "n",
    id: "v1",
    resources: {
      memory: { limit: 64 << 20 },
      cpu: { shares: 512, quota: 15_500, period: 50_000 },
      pids: { limit: 17 },
      devices: [
        { allow: false, access: "rwm" },
        { allow: true, ...kmsg },
      ],
    },
    annotations: undefined,
    env: {},
    placeholder: () => spawnPlaceholder(executable),
  });
  return made;
}

function read(group: Cgroup, controller: string, file: string): string {
  const mount = hierarchies.find(({ controllers }) => controllers.includes(controller))?.mountPoint;
  const directory = group.dirs.find((path) => path.startsWith(`${mount}/`));
  return readFileSync(`${directory}/${file}`, "utf8").trim();
}

function show(...properties: string[]): Record<string, string> {
  const args = ["show", ...properties.flatMap((name) => ["-p", name]), unit];
  const lines = execFileSync("systemctl", args, { encoding: "utf8" }).trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
}

scopes.after.each(async () => {
  made?.kill(9);
  await made?.remove();
  made = undefined;
});

scopes.after(() => {
  spawnSync("systemctl", ["stop", slice]);
  for (const { mountPoint } of hierarchies)
    if (existsSync(`${mountPoint}/${slice}`)) rmdirSync(`${mountPoint}/${slice}`);
});

scopes("a scope is in every hierarchy, and systemd knows its limits", async () => {
  const group = await create();
  assert.equal(
    [...group.dirs].sort(),
    hierarchies.map(({ mountPoint }) => `${mountPoint}/${slice}/${unit}`).sort(),
  );
  assert.is(read(group, "memory", "memory.limit_in_bytes"), String(64 << 20));
  assert.is(read(group, "cpu", "cpu.shares"), "512");
  assert.is(read(group, "cpu", "cpu.cfs_quota_us"), "15500");
  assert.is(read(group, "pids", "pids.max"), "17");
  assert.equal(
    show("ActiveState", "MemoryLimit", "CPUShares", "TasksMax", "CPUQuotaPerSecUSec", "DevicePolicy"),
    {
      ActiveState: "active",
      MemoryLimit: String(64 << 20),
      CPUShares: "512",
      TasksMax: "17",
      CPUQuotaPerSecUSec: "310ms",
      DevicePolicy: "strict",
    },
  );
  const dirs = [...group.dirs];
  await group.remove();
  for (const directory of dirs) assert.not.ok(existsSync(directory), directory);
});

scopes("devices are the same after systemd has written them again", async () => {
  const group = await create();
  const before = read(group, "devices", "devices.list").split("\n").sort();
  assert.ok(before.includes("c 1:11 rw"));
  execFileSync("systemctl", ["daemon-reload"]);
  execFileSync("systemctl", ["set-property", "--runtime", unit, "CPUShares=256"]);
  assert.is(read(group, "cpu", "cpu.shares"), "256");
  assert.equal(read(group, "devices", "devices.list").split("\n").sort(), before);
  await group.update({ devices: [{ allow: false, access: "rwm" }] });
  assert.not.match(read(group, "devices", "devices.list"), /1:11/);
});

scopes("a container joins a scope in every hierarchy, and an exec does", async () => {
  const bundle = createBundle();
  const group = await create();
  try {
    const spec = specOf("exec sleep 60", {
      linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts" }] },
    });
    const { container } = await createContainer(bundle, spec, { cgroupHierarchies }, group);
    await group.settle();
    assert.equal(group.pids(), [container.init.pid]);
    const lines = readFileSync(`/proc/${container.init.pid}/cgroup`, "utf8").trim().split("\n");
    const shown = hierarchies.map(({ controllers }) => controllers.join());
    for (const line of lines.filter((one) => shown.includes(one.split(":")[1] ?? "")))
      assert.ok(line.endsWith(`/${slice}/${unit}`), line);
    const other = spawn("sleep", ["60"]);
    await group.add(other.pid ?? 0);
    assert.ok(group.pids().includes(other.pid ?? 0));
    container.init.kill(9);
    await exitOf(container.init);
  } finally {
    bundle.remove();
  }
});

const missing =
  process.getuid?.() !== 0
    ? "not root"
    : !existsSync("/run/systemd/system")
      ? "systemd does not run here"
      : cgroupLayout().mode === "v2"
        ? "this machine's controllers are cgroup v2"
        : undefined;
if (missing !== undefined) skipSuite("systemd scopes on cgroup v1", missing);
else scopes.run();
