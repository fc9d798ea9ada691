import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ops, order, stepsOf } from "./planned.ts";

const plan = suite("plan: mounts and devices");

plan("a tmpfs that is to be read-only becomes so after its devices are made", () => {
  const steps = stepsOf({
    mounts: [{ destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["ro", "nosuid"] }],
  });
  const mount = steps.find((step) => step.op === "mount");
  assert.is(mount?.op === "mount" ? mount.flags : undefined, 2);
  order(steps, "mount", "mknod", "attributes");
});

plan("devices of the spec take the place of defaults, and a bound /dev gets none", () => {
  const replaced = stepsOf({ linux: { devices: [{ type: "c", path: "/dev/null", major: 9, minor: 9 }] } });
  assert.equal(
    replaced.flatMap((step) => (step.op === "mknod" && step.path === "/dev/null" ? [step.major] : [])),
    [9],
  );
  const bound = stepsOf({
    mounts: [{ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] }],
  });
  assert.not(ops(bound).includes("mknod"));
  assert.not(ops(bound).includes("symlink"));
});

plan("without a cgroup namespace a v1 cgroup mount binds the container's directories", () => {
  const cgroups = [
    {
      version: 1,
      controllers: ["cpu", "cpuacct"],
      mountPoint: "/sys/fs/cgroup/cpu,cpuacct",
      directory: "/sys/fs/cgroup/cpu,cpuacct/c1",
    },
    {
      version: 1,
      controllers: ["name=systemd"],
      mountPoint: "/sys/fs/cgroup/systemd",
      directory: "/sys/fs/cgroup/systemd/c1",
    },
  ] as const;
  const steps = stepsOf(
    { mounts: [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["ro"] }] },
    { cgroups },
  );
  const text = steps.flatMap((step) => {
    if (step.op === "bind") return [`bind ${step.source} ${step.target} ${step.set}`];
    if (step.op === "symlink" && step.property.startsWith("mounts"))
      return [`symlink ${step.path} ${step.content}`];
    return step.op === "mount" || (step.op === "attributes" && step.path !== "/") ? [`${step.op}`] : [];
  });
  assert.equal(text, [
    "mount",
    "bind /sys/fs/cgroup/cpu,cpuacct/c1 /sys/fs/cgroup/cpu,cpuacct 1",
    "symlink /sys/fs/cgroup/cpu cpu,cpuacct",
    "symlink /sys/fs/cgroup/cpuacct cpu,cpuacct",
    "bind /sys/fs/cgroup/systemd/c1 /sys/fs/cgroup/systemd 1",
    "attributes",
  ]);
});

plan("with one v2 hierarchy a cgroup mount is that hierarchy", () => {
  const cgroups = [
    { version: 2, controllers: [], mountPoint: "/sys/fs/cgroup", directory: "/sys/fs/cgroup/c1" },
  ] as const;
  const mounts = [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" }];
  const bound = stepsOf({ mounts }, { cgroups }).find((step) => step.op === "bind");
  assert.is(bound?.op === "bind" ? bound.source : undefined, "/sys/fs/cgroup/c1");
  const namespaces = ["mount", "cgroup"].map((type) => ({ type }));
  const made = stepsOf({ mounts, linux: { namespaces } }, { cgroups }).find((step) => step.op === "mount");
  assert.is(made?.op === "mount" ? made.type : undefined, "cgroup2");
});

plan.run();
