import { defaultMounts } from "../../bundle/default-mounts.ts";

/** config.json of the rehearsed container: what `ctr run` and CRI ask for, so that every branch of theirs has been taken once. */
export function rehearsalSpec(program: string, cgroupsPath: string): unknown {
  const capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"];
  const allow = (type: string, major: number, minor?: number): object => ({
    allow: true,
    type,
    major,
    minor,
    access: "rwm",
  });
  return {
    ociVersion: "1.2.0",
    process: {
      user: { uid: 0, gid: 0, additionalGids: [0] },
      args: [program],
      env: ["PATH=/usr/bin:/bin"],
      cwd: "/",
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: "rootfs" },
    hostname: "rehearsal",
    mounts: defaultMounts,
    linux: {
      resources: {
        devices: [
          { allow: false, access: "rwm" },
          allow("c", 1, 3),
          allow("c", 1, 8),
          allow("c", 136),
          allow("c", 5, 2),
        ],
        cpu: { shares: 1024 },
      },
      cgroupsPath,
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
      readonlyPaths: ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
  };
}
