import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Change, refusal } from "./planned.ts";

const plan = suite("plan: refusals");

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

plan.run();
