/** Properties of config.json that are each as the schema wants them and together make no sense: refused, by name. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { TandemError } from "../../src/errors.ts";
import { linuxPictureOf, wasmPicture } from "../docs/pictures.ts";

const contradictions = suite("contradictions in config.json");

interface Change {
  readonly process?: object;
  readonly linux?: object;
  readonly [key: string]: unknown;
}

const mapping = { containerID: 0, hostID: 1000, size: 10 };
const types = (...names: string[]): object[] => names.map((type) => ({ type }));

function specWith({ process, linux, ...rest }: Change): string {
  return JSON.stringify({
    ociVersion: "1.3.0",
    root: { path: "rootfs" },
    process: { cwd: "/", args: ["true"], ...process },
    linux: { namespaces: types("mount", "pid", "uts", "ipc", "network"), ...linux },
    ...rest,
  });
}

function refusal(change: Change): string {
  try {
    linuxPictureOf(specWith(change));
    return "taken";
  } catch (error) {
    if (error instanceof TandemError) return error.message;
    throw error;
  }
}

/** A new user namespace with these mappings for both. */
const mapped = (mappings: readonly object[], process: object = {}): Change => ({
  process,
  linux: { namespaces: types("mount", "user"), uidMappings: mappings, gidMappings: mappings },
});

const cases: Readonly<Record<string, readonly [Change, string][]>> = {
  "what belongs to a namespace needs it": [
    [{ hostname: "h", linux: { namespaces: types("mount") } }, "hostname: needs a uts namespace"],
    [{ domainname: "d", linux: { namespaces: types("mount") } }, "domainname: needs a uts namespace"],
    [
      { linux: { namespaces: types("mount"), sysctl: { "net.ipv4.ip_forward": "1" } } },
      "linux.sysctl.net.ipv4.ip_forward: needs a network namespace",
    ],
    [
      { linux: { namespaces: types("mount"), sysctl: { "kernel.shmmax": "1" } } },
      "linux.sysctl.kernel.shmmax: needs a ipc namespace",
    ],
    [
      { linux: { namespaces: types("mount"), sysctl: { "fs.mqueue.msg_max": "1" } } },
      "linux.sysctl.fs.mqueue.msg_max: needs a ipc namespace",
    ],
    [
      { linux: { sysctl: { "user.max_net_namespaces": "1" } } },
      "linux.sysctl.user.max_net_namespaces: needs a user namespace",
    ],
    [
      { linux: { namespaces: types("mount"), sysctl: { "kernel.domainname": "d" } } },
      "linux.sysctl.kernel.domainname: needs a uts namespace",
    ],
    [{ linux: { timeOffsets: { boottime: { secs: 1 } } } }, "linux.timeOffsets: needs a new time namespace"],
    [
      {
        linux: {
          namespaces: [...types("mount"), { type: "time", path: "/proc/1/ns/time" }],
          timeOffsets: { monotonic: { secs: 1 } },
        },
      },
      "linux.timeOffsets: needs a new time namespace",
    ],
    [
      { linux: { namespaces: types("mount", "time"), timeOffsets: { boottime: { nanosecs: 1e9 } } } },
      "linux.timeOffsets.boottime.nanosecs: 1000000000 is a second or more",
    ],
    [
      { linux: { namespaces: types("mount", "time"), timeOffsets: { monotonic: { secs: -5e9 } } } },
      "linux.timeOffsets.monotonic.secs: -5000000000 is beyond what a clock can show",
    ],
    [{ linux: { uidMappings: [mapping] } }, "linux.uidMappings: needs a user namespace"],
    [{ linux: { gidMappings: [mapping] } }, "linux.gidMappings: needs a user namespace"],
  ],
  "a sysctl that no namespace confines, or that has a property of its own, is refused": [
    [
      { linux: { sysctl: { "kernel.panic": "1" } } },
      "linux.sysctl.kernel.panic: is not confined by a namespace",
    ],
    [
      { linux: { sysctl: { "vm.swappiness": "1" } } },
      "linux.sysctl.vm.swappiness: is not confined by a namespace",
    ],
    [{ linux: { sysctl: { "": "1" } } }, 'linux.sysctl."": is not confined by a namespace'],
    [
      { linux: { sysctl: { "kernel.hostname": "h" } } },
      "linux.sysctl.kernel.hostname: is the property hostname's to set",
    ],
    [
      { linux: { sysctl: { "net/../kernel/panic": "1" } } },
      "linux.sysctl.net/../kernel/panic: is no name of a parameter",
    ],
    [{ linux: { sysctl: { "net.": "1" } } }, "linux.sysctl.net.: is no name of a parameter"],
    [
      { linux: { sysctl: { "net.ipv4.ip_forward\0": "1" } } },
      'the name linux.sysctl."net.ipv4.ip_forward\\u0000": must be a string without NUL',
    ],
  ],
  "a list of namespaces is of known kinds, once each, at absolute paths": [
    [
      { linux: { namespaces: types("mount", "parallel") } },
      "linux.namespaces[1].type: must be one of pid, network, mount, ipc, uts, user, cgroup, time",
    ],
    [{ linux: { namespaces: types("mount", "pid", "pid") } }, "linux.namespaces[2].type: pid is given twice"],
    [
      { linux: { namespaces: [...types("mount", "pid"), { type: "pid", path: "/proc/1/ns/pid" }] } },
      "linux.namespaces[2].type: pid is given twice",
    ],
    [
      { linux: { namespaces: [...types("mount"), { type: "pid", path: "run/ns" }] } },
      "linux.namespaces[1].path: run/ns is not absolute",
    ],
  ],
  "mappings of a user namespace are there, apart from each other, and have who runs in it": [
    [
      { linux: { namespaces: types("mount", "user") } },
      "linux.uidMappings: a new user namespace needs mappings",
    ],
    [
      { linux: { namespaces: types("mount", "user"), uidMappings: [mapping] } },
      "linux.gidMappings: a new user namespace needs mappings",
    ],
    [mapped([{ ...mapping, size: 0 }]), "linux.uidMappings[0].size: maps nothing"],
    [
      mapped([mapping, { containerID: 9, hostID: 5000, size: 1 }]),
      "linux.uidMappings[1].containerID: overlaps linux.uidMappings[0]",
    ],
    [
      mapped([mapping, { containerID: 50, hostID: 1009, size: 1 }]),
      "linux.uidMappings[1].hostID: overlaps linux.uidMappings[0]",
    ],
    [
      mapped([{ containerID: 0, hostID: 1, size: 0xffff_ffff }]),
      "linux.uidMappings[0].hostID: goes beyond the last id with this size",
    ],
    [
      mapped(Array.from({ length: 341 }, (_, id) => ({ containerID: id, hostID: id, size: 1 }))),
      "linux.uidMappings: the kernel takes 340 at most",
    ],
    [mapped([{ ...mapping, containerID: 1 }]), "linux.uidMappings: linux.uidMappings maps no 0"],
    [mapped([mapping], { user: { uid: 10 } }), "process.user.uid: linux.uidMappings maps no 10"],
    [mapped([mapping], { user: { gid: 10 } }), "process.user.gid: linux.gidMappings maps no 10"],
    [
      mapped([mapping], { user: { additionalGids: [1, 11] } }),
      "process.user.additionalGids[1]: linux.gidMappings maps no 11",
    ],
    [mapped([mapping], { user: { uid: 9, gid: 9, additionalGids: [0] } }), "taken"],
  ],
  "the scheduler's properties are those of its policy": [
    [
      { process: { scheduler: { policy: "SCHED_OTHER", priority: 1 } } },
      "process.scheduler.priority: SCHED_OTHER has none",
    ],
    [
      { process: { scheduler: { policy: "SCHED_FIFO" } } },
      "process.scheduler.priority: 0 is not between 1 and 99, as SCHED_FIFO needs it",
    ],
    [
      { process: { scheduler: { policy: "SCHED_BATCH", period: 1 } } },
      "process.scheduler.period: SCHED_BATCH has none",
    ],
    [
      { process: { scheduler: { policy: "SCHED_DEADLINE", deadline: 1, period: 2 } } },
      "process.scheduler.runtime: SCHED_DEADLINE needs it",
    ],
    [
      { process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 2, deadline: 1 } } },
      "process.scheduler.deadline: is shorter than the runtime",
    ],
    [
      { process: { scheduler: { policy: "SCHED_DEADLINE", runtime: 1, deadline: 3, period: 2 } } },
      "process.scheduler.period: is shorter than the deadline",
    ],
    [
      { process: { scheduler: { policy: "SCHED_OTHER", nice: 20 } } },
      "process.scheduler.nice: must be an integer from -20 to 19",
    ],
    [{ process: { scheduler: { nice: 1 } } }, "process.scheduler.policy: is missing"],
    [
      { process: { ioPriority: { class: "IOPRIO_CLASS_BE", priority: 8 } } },
      "process.ioPriority.priority: must be an integer from 0 to 7",
    ],
    [
      { process: { ioPriority: { class: "IOPRIO_CLASS_NONE", priority: 0 } } },
      "process.ioPriority.class: unknown IOPRIO_CLASS_NONE",
    ],
    [{ process: { ioPriority: { class: "IOPRIO_CLASS_IDLE" } } }, "taken"],
  ],
  "a process has a program, a place and limits that can be kept": [
    [{ process: { args: undefined } }, "process.args: names no program"],
    [{ process: { args: [""] } }, "process.args[0]: names no program"],
    [{ process: { args: ["a\0b"] } }, "process.args[0]: must be a string without NUL"],
    [
      { process: { args: ["true", "x".repeat(131_072)] } },
      "process.args[1]: longer than the 131071 bytes that the kernel takes",
    ],
    [{ process: { env: ["A=b", "NAME"] } }, "process.env[1]: must be NAME=value"],
    [{ process: { env: ["=value"] } }, "process.env[0]: must be NAME=value"],
    [{ process: { env: ["A=\0"] } }, "process.env[0]: must be a string without NUL"],
    [{ process: { cwd: "" } }, "process.cwd: must be an absolute path"],
    [{ process: { cwd: "tmp" } }, "process.cwd: must be an absolute path"],
    [{ process: { cwd: undefined } }, "process.cwd: is missing"],
    [
      { process: { terminal: true, consoleSize: { height: 65536, width: 1 } } },
      "process.consoleSize.height: must be an integer from 0 to 65535",
    ],
    [
      {
        process: {
          rlimits: ["RLIMIT_AS", "RLIMIT_AS"].map((type) => ({ type, soft: 1, hard: 1 })),
        },
      },
      "process.rlimits[1].type: RLIMIT_AS is given twice",
    ],
    [
      { process: { rlimits: [{ type: "RLIMIT_AS", soft: 2, hard: 1 }] } },
      "process.rlimits[0].soft, process.rlimits[0].hard: the soft RLIMIT_AS is above the hard one",
    ],
    [
      { process: { execCPUAffinity: { initial: "3-1", final: "0" } } },
      "process.execCPUAffinity.initial: 3-1 is no list of CPUs",
    ],
    [{ process: { oomScoreAdj: 1001 } }, "process.oomScoreAdj: must be an integer from -1000 to 1000"],
  ],
  "paths that are to be hidden or sealed, hooks and devices have absolute ones": [
    [{ linux: { maskedPaths: ["proc/kcore"] } }, "linux.maskedPaths[0]: must be an absolute path"],
    [{ linux: { readonlyPaths: ["/proc", ""] } }, "linux.readonlyPaths[1]: must be an absolute path"],
    [
      { hooks: { prestart: [{ path: "/bin/true" }, { path: "true" }] } },
      "hooks.prestart[1].path: must be an absolute path",
    ],
    [
      { hooks: { poststop: [{ path: "/bin/true", timeout: 0 }] } },
      "hooks.poststop[0].timeout: must be an integer from 1 to 2147483648",
    ],
    [
      { linux: { devices: [{ type: "c", path: "dev/x", major: 1, minor: 3 }] } },
      "linux.devices[0].path: must be an absolute path",
    ],
    [{ linux: { devices: [{ type: "c", path: "/dev/x", major: 1 }] } }, "linux.devices[0].minor: is missing"],
    [
      { linux: { devices: [{ type: "b", path: "/dev/x", major: 2 ** 32 + 1, minor: 1 }] } },
      "linux.devices[0].major: 4294967297 is not between 0 and 4095",
    ],
    [
      { linux: { resources: { devices: [{ allow: true, type: "c", major: 2 ** 32 + 1 }] } } },
      "linux.resources.devices[0].major: 4294967297 is no number of a device",
    ],
    [{ root: undefined }, "root: is missing"],
    [{ root: null }, "root: is missing"],
    [{ root: {} }, "root.path: is missing"],
    [{ root: { path: "" } }, "root.path: is empty"],
  ],
  "mounts have what their kind needs, and nothing else": [
    [
      { mounts: [{ destination: "/a", type: "tmpfs", options: ["idmap"] }] },
      "mounts[0] /a: to be id-mapped it needs mappings, or the container a user namespace",
    ],
    [
      { mounts: [{ destination: "/a", type: "bind", source: "/b", options: ["ro", "lowerdir=/x"] }] },
      "mounts[0].options[1]: lowerdir=/x is no option of a bind mount",
    ],
    [{ mounts: [{ destination: "/a", type: "bind" }] }, "mounts[0] /a: a bind mount needs a source"],
    [{ mounts: [{ destination: "/a" }] }, "mounts[0] /a: type is missing"],
    [
      { mounts: [{ destination: "/..", type: "tmpfs" }] },
      "mounts[0].destination: must be a place below the root",
    ],
    [
      { mounts: [{ destination: "/a", type: "proc", options: ["tmpcopyup"] }] },
      "mounts[0] /a: only a tmpfs has the option tmpcopyup",
    ],
  ],
  "a seccomp profile has errnos and a listener where they mean something": [
    [
      { linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 } } },
      "linux.seccomp.defaultErrnoRet: SCMP_ACT_ALLOW takes no errno",
    ],
    [
      { linux: { seccomp: { defaultAction: "SCMP_ACT_NOTIFY" } } },
      "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY leaves nobody to pass the listener on",
    ],
    [
      {
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
          },
        },
      },
      "linux.seccomp.listenerPath: missing, but an action is SCMP_ACT_NOTIFY",
    ],
    [
      {
        linux: {
          seccomp: { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names: [], action: "SCMP_ACT_ALLOW" }] },
        },
      },
      "linux.seccomp.syscalls[0].names: names no system call",
    ],
  ],
};

for (const [name, list] of Object.entries(cases)) {
  contradictions(name, () => {
    for (const [change, message] of list) assert.is(refusal(change), message);
  });
}

contradictions("a wasm container needs a root and a process as well", () => {
  for (const missing of ["root", "process"])
    assert.throws(
      () => wasmPicture({ ...JSON.parse(specWith({})), [missing]: undefined }),
      (error: unknown) => error instanceof TandemError && error.message === `${missing}: is missing`,
    );
});

contradictions.run();
