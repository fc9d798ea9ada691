import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultMounts } from "../../bundle/default-mounts.ts";
import type { SpecMount } from "../../bundle/spec.ts";
import { TandemError } from "../../errors.ts";
import { features } from "../../isolation/features.ts";
import { type Command, clientPath } from "../command.ts";

export const spec: Command = {
  summary: "write a config.json to begin with",
  operands: "",
  flags: {
    bundle: { value: "DIR", short: "b", help: "where; the working directory unless given" },
    rootless: { help: "for a container without root's privileges" },
  },
  run: async (context) => {
    const { given } = context;
    const path = join(clientPath(context, given.text("bundle") ?? "."), "config.json");
    const document = given.has("rootless") ? rootlessSpec() : usualSpec();
    try {
      writeFileSync(path, `${JSON.stringify(document, null, "\t")}\n`, { flag: "wx", mode: 0o644 });
    } catch (error) {
      throw TandemError.from(error, "config.json");
    }
    return 0;
  },
};

const capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/** runc's /proc is without options. */
const mounts: readonly SpecMount[] = [
  ...defaultMounts.map(({ options, ...mount }) => (mount.type === "proc" ? mount : { ...mount, options })),
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  },
];

/** What shows the machine instead of the container. */
const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
];
const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

export function usualSpec() {
  return {
    ociVersion: features.ociVersionMax,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ["sh"],
      env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs", readonly: true },
    hostname: "tandem",
    mounts,
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map((type) => ({ type })),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/**
 * A user without privileges has one id to give, cannot mount a sysfs of a network that it shares, has no cgroup to limit, and
 * no group 5.
 */
export function rootlessSpec() {
  const usual = usualSpec();
  const { resources: _, ...linux } = usual.linux;
  const idMapping = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return {
    ...usual,
    mounts: mounts.map((mount) =>
      mount.destination === "/sys"
        ? { ...mount, type: "none", source: "/sys", options: ["rbind", ...(mount.options ?? [])] }
        : { ...mount, ...optionsWithoutIds(mount) },
    ),
    linux: {
      ...linux,
      uidMappings: idMapping(process.geteuid?.() ?? 0),
      gidMappings: idMapping(process.getegid?.() ?? 0),
      namespaces: ["pid", "ipc", "uts", "mount", "cgroup", "user"].map((type) => ({ type })),
    },
  };
}

function optionsWithoutIds({ options }: SpecMount): Pick<SpecMount, "options"> {
  return options === undefined ? {} : { options: options.filter((option) => !/^[ug]id=/.test(option)) };
}
