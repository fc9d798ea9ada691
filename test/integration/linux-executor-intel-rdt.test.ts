import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { SpecIntelRdt } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { type Cgroup, loadCgroup, openCgroup } from "../../src/isolation/cgroup.ts";
import { resctrlMount } from "../../src/isolation/intel-rdt.ts";
import { create, createBundle, exitOf, openOutput, specOf } from "./linux-container.ts";

const rdt = suite("linux executor: intelRdt");

// A v1 hierarchy stands in for resctrl, which few machines have: its directories get a `tasks` file by themselves, and the
// kernel says who is in which.
const hierarchy = "/sys/fs/cgroup/freezer";
const root = join(hierarchy, `tandem-rdt-${process.pid}`);
const classes = ["", "mon_groups", "gold", "gold/mon_groups"].map((name) => join(root, name));
const canRun = existsSync(join(hierarchy, "tasks"));

rdt.before(() => {
  if (canRun) for (const path of classes) mkdirSync(path);
});
rdt.after(() => {
  if (canRun) for (const path of [...classes].reverse()) rmdirSync(path);
});

function open(intelRdt: SpecIntelRdt, resctrl?: string): Cgroup {
  return openCgroup({
    cgroupsPath: `/tandem-rdt-test-${process.pid}`,
    namespace: "test",
    id: "c1",
    resources: undefined,
    intelRdt,
    ...(resctrl === undefined ? {} : { resctrl }),
  });
}

const groupOf = (pid: number): string =>
  /freezer:(.*)/.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";

async function groupsOfInitAndExec(cgroup: Cgroup): Promise<string[]> {
  const bundle = createBundle();
  const io = openOutput(join(bundle.path, "exec"));
  try {
    const { container } = await create(bundle, specOf("exec sleep 100"), {}, cgroup);
    await container.init.start();
    const exec = await container.exec({
      execId: "e1",
      process: { cwd: "/", args: ["/bin/sleep", "100"] },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    const groups = [groupOf(container.init.pid), groupOf(exec.pid)];
    exec.kill(9);
    await exitOf(exec);
    container.init.kill(9);
    await exitOf(container.init);
    await container.release();
    return groups;
  } finally {
    io.close();
    bundle.remove();
  }
}

const skipped = canRun ? rdt : rdt.skip;

skipped(
  "init and execs are in the class and in its monitoring group, which goes with the container",
  async () => {
    const cgroup = open({ closID: "gold", enableMonitoring: true }, root);
    const group = join(root, "gold/mon_groups/c1");
    try {
      const inside = group.slice(hierarchy.length);
      assert.equal(await groupsOfInitAndExec(cgroup), [inside, inside]);
      assert.ok(cgroup.dirs.includes(group), "recorded, so that delete finds it when the shim is dead");
    } finally {
      await cgroup.remove();
    }
    assert.not.ok(existsSync(group));
    assert.ok(existsSync(join(root, "gold")));
  },
);

skipped(
  "a class of the container's own is made and removed with it, also by its recorded directories",
  async () => {
    const own = join(root, "c1");
    const cgroup = open({}, root);
    assert.ok(existsSync(own));
    assert.equal(await groupsOfInitAndExec(cgroup), [
      own.slice(hierarchy.length),
      own.slice(hierarchy.length),
    ]);
    await loadCgroup(cgroup.dirs).remove();
    assert.not.ok(existsSync(own));
  },
);

rdt("without resctrl intelRdt is refused and no cgroup is left", () => {
  if (resctrlMount(readFileSync("/proc/self/mountinfo", "utf8")) !== undefined) return;
  try {
    open({ closID: "gold" });
    assert.unreachable("it was opened");
  } catch (error) {
    assert.instance(error, TandemError);
    assert.is((error as TandemError).code, "failed_precondition");
    assert.is((error as TandemError).message, "linux.intelRdt: no resctrl is mounted on this machine");
  }
  assert.not.ok(existsSync(`/sys/fs/cgroup/memory/tandem-rdt-test-${process.pid}`));
});

rdt.run();
