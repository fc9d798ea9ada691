type Json = Record<string, unknown>;

const capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_NET_BIND_SERVICE"];
const hook = (path: string) => [{ path, args: [path, "x"], env: ["A=b"], timeout: 5 }];

/**
 * A config.json that a container can be made of on any machine, with as many properties as that allows. Its root file system is
 * busybox, its bundle has a directory "data".
 */
export function runnableSpec(cgroupsPath: string): Json {
  return {
    ociVersion: "1.3.0",
    root: { path: "rootfs", readonly: false },
    hostname: "boxed",
    domainname: "example",
    annotations: { "acme.dev/note": "x" },
    process: {
      terminal: false,
      consoleSize: { height: 24, width: 80 },
      cwd: "/tmp",
      args: ["/bin/sleep", "100"],
      env: ["PATH=/bin", "A=b"],
      user: { uid: 0, gid: 0, umask: 0o22, additionalGids: [5] },
      capabilities: {
        bounding: capabilities,
        permitted: capabilities,
        effective: capabilities,
        inheritable: ["CAP_CHOWN"],
        ambient: ["CAP_CHOWN"],
      },
      noNewPrivileges: true,
      oomScoreAdj: 100,
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }],
      scheduler: {
        policy: "SCHED_OTHER",
        nice: 1,
        priority: 0,
        flags: [],
        runtime: 0,
        deadline: 0,
        period: 0,
      },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 3 },
      execCPUAffinity: { initial: "0", final: "0" },
    },
    mounts: [
      { destination: "/data", type: "bind", source: "data", options: ["rbind", "ro"] },
      { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=64k"] },
      {
        destination: "/dev/pts",
        type: "devpts",
        source: "devpts",
        options: ["newinstance", "ptmxmode=0666", "mode=0620"],
      },
      { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid"] },
      { destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] },
    ],
    hooks: {
      prestart: hook("/bin/true"),
      createRuntime: hook("/bin/true"),
      createContainer: hook("/bin/true"),
      startContainer: hook("/bin/true"),
      poststart: hook("/bin/true"),
      poststop: hook("/bin/true"),
    },
    linux: {
      namespaces: ["mount", "pid", "uts", "ipc", "network", "cgroup", "time"].map((type) => ({ type })),
      timeOffsets: { monotonic: { secs: 5, nanosecs: 6 }, boottime: { secs: 7, nanosecs: 8 } },
      devices: [{ type: "p", path: "/dev/pipe", major: 0, minor: 0, fileMode: 0o600, uid: 3, gid: 4 }],
      cgroupsPath,
      resources: {
        devices: [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }],
        memory: { limit: 1 << 28, reservation: 1 << 27, disableOOMKiller: false, checkBeforeUpdate: false },
        cpu: { shares: 512, quota: 50_000, period: 100_000 },
        pids: { limit: 100 },
      },
      rootfsPropagation: "private",
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        architectures: ["SCMP_ARCH_X86_64"],
        flags: ["SECCOMP_FILTER_FLAG_LOG"],
        syscalls: [
          {
            names: ["getppid"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 5,
            args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 7, valueTwo: 2 }],
          },
        ],
      },
      sysctl: { "net.ipv4.ip_forward": "1" },
      maskedPaths: ["/proc/kcore", "/proc/acpi"],
      readonlyPaths: ["/proc/sys"],
      personality: { domain: "LINUX" },
    },
  };
}

/** The same in a user namespace. */
export function runnableUserSpec(cgroupsPath: string): Json {
  const spec = runnableSpec(cgroupsPath);
  const linux = spec["linux"] as Json;
  const namespaces = [{ type: "user" }, ...(linux["namespaces"] as object[])];
  const mappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
  // Nothing there may lower its own nice value.
  const { scheduler: _, ...process } = spec["process"] as Json;
  return { ...spec, process, linux: { ...linux, namespaces, uidMappings: mappings, gidMappings: mappings } };
}
