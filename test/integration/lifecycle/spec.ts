import { defaultMounts } from "../../../src/bundle/default-mounts.ts";

/** What of config.json a test chooses; the rest is what `ctr run` writes. */
export interface SpecOptions {
  readonly args: readonly string[];
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly terminal?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly mounts?: readonly object[];
  readonly memoryLimit?: number;
  /** Namespaces that are the host's. */
  readonly share?: readonly string[];
  readonly readonlyRootfs?: boolean;
  readonly noRootfs?: boolean;
}

const capabilities = [
  ..."CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE".split(
    " ",
  ),
  ..."SYS_CHROOT KILL AUDIT_WRITE".split(" "),
].map((name) => `CAP_${name}`);

/** process of config.json, also what an exec is given. */
export function processOf(options: SpecOptions): object {
  return {
    terminal: options.terminal === true,
    user: { uid: 0, gid: 0 },
    args: options.args,
    env: ["PATH=/bin", ...(options.env ?? [])],
    cwd: options.cwd ?? "/",
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  };
}

/** A whole config.json, as containerd's own defaults make it. */
export function specOf(namespace: string, id: string, options: SpecOptions): object {
  const limit = options.memoryLimit;
  return {
    ociVersion: "1.1.0",
    process: processOf(options),
    root: { path: "rootfs", readonly: options.readonlyRootfs === true },
    hostname: "lifecycle",
    mounts: [...defaultMounts, ...(options.mounts ?? [])],
    annotations: options.annotations ?? {},
    linux: {
      cgroupsPath: `/${namespace}/${id}`,
      resources: {
        devices: [{ allow: false, access: "rwm" }],
        ...(limit === undefined ? {} : { memory: { limit } }),
      },
      namespaces: ["pid", "ipc", "uts", "mount", "network"]
        .filter((type) => options.share?.includes(type) !== true)
        .map((type) => ({ type })),
      maskedPaths: ["/proc/kcore", "/proc/keys"],
      readonlyPaths: ["/proc/bus", "/proc/sys"],
    },
  };
}
