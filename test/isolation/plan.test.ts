import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseSpec, type Spec } from "../../src/bundle/spec.ts";
import { TandemError } from "../../src/errors.ts";
import { type PlanContext, planContainer } from "../../src/isolation/plan.ts";
import { planExec } from "../../src/isolation/plan-exec.ts";
import type { Step } from "../../src/isolation/steps.ts";

const plan = suite("plan");

const context: PlanContext = {
  id: "c1",
  bundle: "/bundle",
  rootfs: "/bundle/rootfs",
  cgroups: [],
  machine: { apparmor: false, selinux: false, capabilities: (1n << 41n) - 1n },
  seccomp: undefined,
  rights: { root: true, machineRoot: true },
  noPivotRoot: false,
  noNewKeyring: false,
  isRuntimes: () => false,
};

interface Change {
  readonly process?: object;
  readonly linux?: object;
  readonly [key: string]: unknown;
}

function specWith({ process, linux, ...rest }: Change): Spec {
  const namespaces = ["mount", "pid", "uts", "ipc", "network"].map((type) => ({ type }));
  return parseSpec(
    JSON.stringify({
      ociVersion: "1.2.0",
      root: { path: "rootfs" },
      process: { cwd: "/", args: ["true"], ...process },
      linux: { namespaces, ...linux },
      ...rest,
    }),
  );
}

function stepsOf(change: Change, changed: Partial<PlanContext> = {}): Step[] {
  return planContainer(specWith(change), { ...context, ...changed }).steps({
    creating: "creating",
    created: "created",
  });
}

function refusal(change: Change, changed: Partial<PlanContext> = {}): string {
  try {
    stepsOf(change, changed);
  } catch (error) {
    assert.instance(error, TandemError);
    return `${(error as TandemError).code} ${(error as TandemError).message}`;
  }
  throw new Error("was expected to be refused");
}

const ops = (steps: readonly Step[]): string[] => steps.map(({ op }) => op);
const order = (steps: readonly Step[], ...wanted: string[]): void => {
  const places = wanted.map((op) => ops(steps).indexOf(op));
  assert.not(places.includes(-1), `${wanted} in ${ops(steps)}`);
  assert.equal(
    places,
    [...places].sort((a, b) => a - b),
    `${wanted} in this order`,
  );
};

plan("the root is entered after the mounts are made and before anything of it is sealed", () => {
  const steps = stepsOf({
    root: { path: "rootfs", readonly: true },
    mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
    process: { terminal: true },
    linux: { maskedPaths: ["/proc/kcore"] },
  });
  order(
    steps,
    "session",
    "propagation",
    "rootfs",
    "mount",
    "mknod",
    "root",
    "console",
    "attributes",
    "mask",
    "user",
    "exec",
  );
});

plan("hooks run at their places with the state of their time", () => {
  const hook = (path: string) => [{ path, timeout: 2 }];
  const steps = stepsOf({
    hooks: {
      createRuntime: hook("/r"),
      createContainer: hook("/c"),
      startContainer: hook("/s"),
      poststart: hook("/p"),
    },
  });
  const hooks = steps.filter((step) => step.op === "hook");
  assert.equal(
    hooks.map(({ path, state, timeoutMs, args }) => ({ path, state, timeoutMs, args })),
    [
      { path: "/c", state: "creating", timeoutMs: 2000, args: ["/c"] },
      { path: "/s", state: "created", timeoutMs: 2000, args: ["/s"] },
    ],
  );
  order(steps, "mknod", "runtimeHooks", "hook", "root", "created");
  assert.ok(ops(steps).lastIndexOf("hook") > ops(steps).indexOf("created"));
});

plan("without createRuntime hooks nobody waits for them", () => {
  assert.not(ops(stepsOf({})).includes("runtimeHooks"));
});

plan("a seccomp filter comes last with noNewPrivileges and before the capabilities go without", () => {
  const seccomp = { filter: Buffer.alloc(8), flags: 0 };
  order(
    stepsOf({ process: { noNewPrivileges: true } }, { seccomp }),
    "capabilities",
    "created",
    "noNewPrivileges",
    "seccomp",
    "exec",
  );
  order(stepsOf({}, { seccomp }), "bounding", "seccomp", "user", "capabilities", "created", "exec");
});

plan("rlimits, umask and stdio's owner are settled while it is still allowed", () => {
  order(
    stepsOf({ process: { rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }] } }),
    "rlimit",
    "umask",
    "stdioOwner",
    "bounding",
    "user",
  );
});

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

plan("in a user namespace devices are bound and sources are opened by the shim", () => {
  const map = [{ containerID: 0, hostID: 1000, size: 10 }];
  const spec = specWith({
    mounts: [
      { destination: "/a", type: "bind", source: "a", options: ["rbind"] },
      { destination: "/b", type: "bind", source: "/b", options: ["bind", "idmap"] },
    ],
    linux: { namespaces: [{ type: "mount" }, { type: "user" }], uidMappings: map, gidMappings: map },
  });
  const result = planContainer(spec, context);
  assert.equal(result.maps, { uids: "0 1000 10\n", gids: "0 1000 10\n" });
  assert.equal(
    result.sources.map(({ from, idmap }) => ({ ...from, idmap })),
    [
      { path: "/bundle/a", recursive: true, idmap: undefined },
      { path: "/b", recursive: false, idmap: "container" },
    ],
  );
  const steps = result.steps({ creating: "", created: "" });
  assert.is(steps[0]?.op, "becomeRoot");
  const nodes = steps.filter((step) => step.op === "mknod");
  assert.ok(nodes.length > 0 && nodes.every(({ bind }) => bind));
});

plan("a namespace given by path that is the runtime's own is not the container's to change", () => {
  const namespaces = [
    { type: "mount" },
    { type: "uts", path: "/proc/1/ns/uts" },
    { type: "network", path: "/proc/1/ns/net" },
  ];
  const runtimes = { isRuntimes: () => true };
  const sysctl = { "net.ipv4.ip_forward": "1" };
  assert.match(
    refusal({ linux: { namespaces }, hostname: "h" }, runtimes),
    /hostname: needs a uts namespace/,
  );
  assert.match(refusal({ linux: { namespaces, sysctl } }, runtimes), /ip_forward: needs a network namespace/);
  assert.ok(ops(stepsOf({ linux: { namespaces, sysctl }, hostname: "h" })).includes("sysctl"));
});

plan("namespaces are made at once, but cgroup and time in their turn", () => {
  const spec = specWith({
    linux: {
      namespaces: ["mount", "cgroup", "time", "pid"].map((type) => ({ type })),
      timeOffsets: { monotonic: { secs: 5 } },
    },
  });
  const result = planContainer(spec, context);
  assert.is(result.namespaces.flags, 0x20020000);
  const time = result.steps({ creating: "", created: "" }).find((step) => step.op === "newTime");
  assert.equal(time?.op === "newTime" ? time.offsets : undefined, "monotonic 5 0\n");
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

plan("an exec with a terminal does not touch the container's console", () => {
  const steps = planExec(
    { cwd: "/", args: ["sh"], terminal: true, execCPUAffinity: { final: "0-1,9" } },
    {
      id: "c1",
      machine: context.machine,
      seccomp: undefined,
      canSetGroups: true,
      userNamespace: false,
      noNewKeyring: true,
      linux: undefined,
    },
  );
  const terminal = steps.find((step) => step.op === "console");
  assert.is(terminal?.op === "console" ? terminal.bind : undefined, false);
  const affinity = steps.find((step) => step.op === "affinity");
  assert.equal(affinity?.op === "affinity" ? [...affinity.mask.subarray(0, 3)] : undefined, [3, 2, 0]);
});

plan("what cannot be honoured is refused by the name of its property", () => {
  const refusals: [Change, string][] = [
    [{ process: { args: [] } }, "invalid_argument process.args: names no program"],
    [
      { process: { rlimits: [{ type: "RLIMIT_X", soft: 1, hard: 1 }] } },
      "invalid_argument process.rlimits[0].type: unknown RLIMIT_X",
    ],
    [
      { process: { rlimits: [{ type: "RLIMIT_AS", soft: 2, hard: 1 }] } },
      "invalid_argument process.rlimits[0].soft, process.rlimits[0].hard: the soft RLIMIT_AS is above the hard one",
    ],
    [
      { linux: { devices: [{ type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 0o060600 }] } },
      'invalid_argument linux.devices[0].fileMode: 0o60600 is of another kind of file than type "c"',
    ],
    [
      { process: { apparmorProfile: "p" } },
      "failed_precondition process.apparmorProfile: AppArmor is not enabled on this machine",
    ],
    [
      { process: { selinuxLabel: "l" } },
      "failed_precondition process.selinuxLabel: SELinux is not enabled on this machine",
    ],
    [
      { process: { scheduler: { policy: "SCHED_X" } } },
      "invalid_argument process.scheduler.policy: unknown SCHED_X",
    ],
    [
      { mounts: [{ destination: "/a", type: "tmpfs", options: ["idmap"] }] },
      "invalid_argument mounts[0] /a: to be id-mapped it needs mappings, or the container a user namespace",
    ],
    [
      { linux: { namespaces: [{ type: "mount" }, { type: "mount" }] } },
      "invalid_argument linux.namespaces[1].type: mount is given twice",
    ],
    [
      { linux: { uidMappings: [{ containerID: 0, hostID: 1, size: 1 }] } },
      "invalid_argument linux.uidMappings: needs a user namespace",
    ],
    [
      { linux: { timeOffsets: { monotonic: { secs: 1 } } } },
      "invalid_argument linux.timeOffsets: needs a new time namespace",
    ],
    [
      { linux: { sysctl: { "vm.swappiness": "1" } } },
      "invalid_argument linux.sysctl.vm.swappiness: is not confined by a namespace",
    ],
    [
      { linux: { sysctl: { "net.../../kernel": "1" } } },
      "invalid_argument linux.sysctl.net.../../kernel: is no name of a parameter",
    ],
    [
      { linux: { namespaces: [{ type: "mount" }], sysctl: { "net.a": "1" } } },
      "invalid_argument linux.sysctl.net.a: needs a network namespace",
    ],
    [
      { linux: { memoryPolicy: { mode: "MPOL_BIND" } } },
      "invalid_argument linux.memoryPolicy.nodes: MPOL_BIND needs at least one",
    ],
    [
      { linux: { memoryPolicy: { mode: "MPOL_LOCAL", nodes: "0" } } },
      "invalid_argument linux.memoryPolicy.nodes: MPOL_LOCAL takes none",
    ],
    [
      { linux: { memoryPolicy: { mode: "MPOL_BIND", nodes: "3-1" } } },
      "invalid_argument linux.memoryPolicy.nodes: 3-1 is no list of memory nodes",
    ],
    [
      { linux: { memoryPolicy: { mode: "MPOL_X" } } },
      "invalid_argument linux.memoryPolicy.mode: unknown MPOL_X",
    ],
    [
      { linux: { memoryPolicy: { mode: "MPOL_LOCAL", flags: ["MPOL_F_X"] } } },
      "invalid_argument linux.memoryPolicy.flags: unknown MPOL_F_X",
    ],
    [
      { linux: { netDevices: { eth0: {} }, namespaces: [{ type: "mount" }] } },
      "invalid_argument linux.netDevices.eth0: needs a network namespace",
    ],
    [
      { linux: { netDevices: { "a/b": {} } } },
      "invalid_argument linux.netDevices.a/b: is no name of a network device",
    ],
    [
      { linux: { netDevices: { eth0: { name: "a-name-of-more-than-fifteen" } } } },
      "invalid_argument linux.netDevices.eth0.name: a-name-of-more-than-fifteen is no name of a network device",
    ],
    [
      { linux: { netDevices: { eth0: { name: "net0" }, net0: {} } } },
      "invalid_argument linux.netDevices: two devices are to be called net0",
    ],
    [
      { linux: { namespaces: [{ type: "mount" }] }, hostname: "h" },
      "invalid_argument hostname: needs a uts namespace",
    ],
    [
      { linux: { mountLabel: "l" } },
      "failed_precondition linux.mountLabel: SELinux is not enabled on this machine",
    ],
    [
      { mounts: [{ destination: "/", type: "tmpfs" }] },
      "invalid_argument mounts[0].destination: must be a place below the root",
    ],
    [
      { mounts: [{ destination: "/a", type: "bind" }] },
      "invalid_argument mounts[0] /a: a bind mount needs a source",
    ],
    [
      { mounts: [{ destination: "/a", type: "bind", source: "/b", options: ["colour=3"] }] },
      "invalid_argument mounts[0].options[0]: colour=3 is no option of a bind mount",
    ],
    [{ mounts: [{ destination: "/a" }] }, "invalid_argument mounts[0] /a: type is missing"],
  ];
  for (const [change, message] of refusals) assert.is(refusal(change), message);
});

plan("capabilities that the runtime itself lacks are left out", () => {
  const available = (1n << 41n) - 1n - (1n << 24n);
  const all = ["CAP_SYS_RESOURCE", "CAP_CHOWN"];
  const steps = stepsOf(
    { process: { capabilities: { bounding: all, permitted: all, effective: all } } },
    { machine: { ...context.machine, capabilities: available } },
  );
  const step = steps.find(({ op }) => op === "capabilities");
  assert.is(step?.op === "capabilities" ? step.effective : undefined, 1n);
});

const mapping = [{ containerID: 0, hostID: 1000, size: 1 }];
const inUserNamespace = {
  namespaces: ["mount", "user"].map((type) => ({ type })),
  uidMappings: mapping,
  gidMappings: mapping,
};
const unprivileged = { rights: { root: false, machineRoot: false } };

plan("who is not root needs a user namespace and opens nothing for container-init", () => {
  assert.match(refusal({}, unprivileged), "linux.namespaces: who is not root needs a user namespace");
  const mounts = [{ destination: "/x", type: "bind", source: "/from", options: ["bind"] }];
  const planned = planContainer(specWith({ linux: inUserNamespace, mounts }), {
    ...context,
    ...unprivileged,
  });
  assert.equal(planned.sources, []);
  const steps = planned.steps({ creating: "", created: "" });
  const groups = steps.find(({ op }) => op === "user");
  assert.is(groups?.op === "user" ? groups.mayBeDenied : undefined, true);
  const mapped = [{ ...mounts[0], options: ["bind", "idmap"] }];
  assert.match(
    refusal({ linux: inUserNamespace, mounts: mapped }, unprivileged),
    "mounts[0] /x: only root can map the owners of a mount",
  );
});

plan("groups that are asked for must not be denied", () => {
  const process = { user: { uid: 0, gid: 0, additionalGids: [0] } };
  const step = stepsOf({ linux: inUserNamespace, process }, unprivileged).find(({ op }) => op === "user");
  assert.is(step?.op === "user" ? step.mayBeDenied : undefined, false);
});

plan("root of a user namespace, as under podman, cannot make devices either: they are bound", () => {
  const steps = stepsOf({}, { rights: { root: true, machineRoot: false } });
  const nodes = steps.filter((step) => step.op === "mknod");
  assert.ok(nodes.length > 0 && nodes.every(({ bind }) => bind));
});

plan.run();
