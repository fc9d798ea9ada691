/** A config.json in which every property of the Linux runtime specification that Tandem honours has a value. */
export function fullSpec(): Record<string, unknown> {
  const hook = (path: string) => [{ path, args: [path, "x"], env: ["A=b"], timeout: 7 }];
  const mapping = (size: number) => [{ containerID: 0, hostID: 100000, size }];
  const offsets = { secs: 5, nanosecs: 6 };
  const rate = (value: number) => [{ major: 8, minor: 0, rate: value }];
  return {
    ociVersion: "1.3.0",
    root: { path: "rootfs", readonly: true },
    hostname: "host",
    domainname: "domain",
    annotations: { "tandem.dev/http-port": "8081" },
    mounts: [
      {
        destination: "/data",
        type: "bind",
        source: "/srv",
        options: ["rbind", "ro"],
        uidMappings: mapping(10),
        gidMappings: mapping(11),
      },
      { destination: "/scratch", type: "tmpfs", source: "scratch", options: ["size=1m"] },
    ],
    process: {
      terminal: true,
      consoleSize: { height: 24, width: 80 },
      cwd: "/work",
      args: ["/bin/program", "argument"],
      env: ["NAME=value"],
      user: { uid: 7, gid: 8, umask: 0o27, additionalGids: [9] },
      capabilities: {
        bounding: ["CAP_CHOWN", "CAP_KILL"],
        permitted: ["CAP_CHOWN", "CAP_KILL"],
        effective: ["CAP_CHOWN"],
        inheritable: ["CAP_CHOWN", "CAP_KILL"],
        ambient: ["CAP_CHOWN"],
      },
      noNewPrivileges: true,
      oomScoreAdj: 100,
      rlimits: [{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }],
      apparmorProfile: "custom",
      selinuxLabel: "user:role:type:s0",
      scheduler: {
        policy: "SCHED_DEADLINE",
        nice: 1,
        priority: 0,
        flags: ["SCHED_FLAG_RECLAIM"],
        runtime: 3,
        deadline: 4,
        period: 5,
      },
      ioPriority: { class: "IOPRIO_CLASS_BE", priority: 3 },
      execCPUAffinity: { initial: "0", final: "1" },
    },
    hooks: {
      prestart: hook("/hook/prestart"),
      createRuntime: hook("/hook/runtime"),
      createContainer: hook("/hook/container"),
      startContainer: hook("/hook/start"),
      poststart: hook("/hook/poststart"),
      poststop: hook("/hook/poststop"),
    },
    linux: {
      namespaces: [
        ...["mount", "pid", "uts", "ipc", "user", "cgroup", "time"].map((type) => ({ type })),
        { type: "network", path: "/run/netns/pod" },
      ],
      uidMappings: mapping(12),
      gidMappings: mapping(13),
      timeOffsets: { monotonic: offsets, boottime: { ...offsets } },
      devices: [
        { type: "p", path: "/dev/pipe", major: 1, minor: 2, fileMode: 0o600, uid: 3, gid: 4 },
        { type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
      ],
      cgroupsPath: "/group/container",
      resources: {
        devices: [{ allow: true, type: "c", major: 10, minor: 229, access: "rw" }],
        memory: {
          limit: 1000,
          reservation: 900,
          swap: 2000,
          kernel: 800,
          kernelTCP: 700,
          swappiness: 60,
          disableOOMKiller: true,
          useHierarchy: true,
          checkBeforeUpdate: true,
        },
        cpu: {
          shares: 512,
          quota: 1000,
          burst: 100,
          period: 10000,
          realtimeRuntime: 10,
          realtimePeriod: 20,
          cpus: "0",
          mems: "0",
          idle: 1,
        },
        pids: { limit: 5 },
        blockIO: {
          weight: 100,
          leafWeight: 200,
          weightDevice: [{ major: 8, minor: 0, weight: 300, leafWeight: 400 }],
          throttleReadBpsDevice: rate(1),
          throttleWriteBpsDevice: rate(2),
          throttleReadIOPSDevice: rate(3),
          throttleWriteIOPSDevice: rate(4),
        },
        hugepageLimits: [{ pageSize: "2MB", limit: 4096 }],
        network: { classID: 5, priorities: [{ name: "eth0", priority: 6 }] },
        rdma: { mlx5: { hcaHandles: 3, hcaObjects: 4 } },
        unified: { "memory.high": "1000" },
      },
      rootfsPropagation: "shared",
      seccomp: {
        defaultAction: "SCMP_ACT_ERRNO",
        defaultErrnoRet: 38,
        architectures: ["SCMP_ARCH_X86_64"],
        flags: ["SECCOMP_FILTER_FLAG_LOG"],
        listenerPath: "/run/agent.sock",
        listenerMetadata: "text",
        syscalls: [
          {
            names: ["getppid"],
            action: "SCMP_ACT_ERRNO",
            errnoRet: 5,
            args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: 7, valueTwo: 2 }],
          },
          { names: ["mkdir"], action: "SCMP_ACT_NOTIFY" },
        ],
      },
      sysctl: { "net.ipv4.ip_forward": "1" },
      maskedPaths: ["/etc"],
      readonlyPaths: ["/etc"],
      mountLabel: "user:role:type:s0",
      personality: { domain: "LINUX32" },
      intelRdt: {
        closID: "class",
        schemata: ["L2:0=f"],
        l3CacheSchema: "L3:0=f",
        memBwSchema: "MB:0=10",
        enableMonitoring: true,
      },
      memoryPolicy: { mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"] },
      netDevices: { eth7: { name: "eth8" } },
    },
  };
}

/** What Tandem refuses whatever its value; a spec is made of the full one with one of these put in. */
export const refusedValues: Readonly<Record<string, unknown>> = {
  "linux.personality.flags[]": ["ADDR_NO_RANDOMIZE"],
};
