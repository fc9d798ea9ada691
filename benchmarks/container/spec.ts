import { defaultMounts } from "../../src/bundle/default-mounts.ts";

/** Root's usual capabilities in a container, in containerd's order. */
const capabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
] as const;

const mounts = [
  ...defaultMounts,
  {
    destination: "/run",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
];

const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
  "/proc/scsi",
] as const;

export interface SpecOptions {
  readonly args: readonly string[];
  readonly cgroupsPath: string;
}

/**
 * config.json as containerd's client writes it for `ctr run`: its default specification (containerd 2.4's `ctr oci spec`) with the
 * image's entrypoint and environment. Only the version is an older one, because crun 1.8 refuses to read 1.3.0.
 */
export function toSpec(options: SpecOptions) {
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0, additionalGids: [0] },
      args: options.args,
      env: ["PATH=/bin"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs" },
    mounts,
    linux: {
      resources: { devices: [{ allow: false, access: "rwm" }] },
      cgroupsPath: options.cgroupsPath,
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      maskedPaths,
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}
