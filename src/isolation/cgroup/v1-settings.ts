import type {
  BlockIoResources,
  CpuResources,
  LinuxResources,
  MemoryResources,
} from "../../bundle/resources.ts";
import { shown } from "../../errors.ts";
import { type CgroupFiles, decimal, fileNamePart, isSet, refuse, type Setting, setting } from "./setting.ts";

/**
 * What `linux.resources` (devices apart) means on cgroup v1, in the order of writing; only what is given.
 * Kernel documentation: admin-guide/cgroup-v1.
 *
 * @throws TandemError invalid_argument naming a property that v1 does not have or whose value makes no sense.
 */
export function v1Settings(resources: LinuxResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  if (resources.memory !== undefined) settings.push(...memory(resources.memory));
  if (resources.cpu !== undefined) settings.push(...cpu(resources.cpu));
  const pids = resources.pids?.limit;
  // 0 is a limit (config-linux.md "PIDs"); the container's own process is there already, so that 1 says the same, and systemd takes it.
  if (pids !== undefined)
    settings.push(
      setting("pids", "pids.max", pids < 0 ? "max" : decimal(Math.max(pids, 1), "pids.limit"), "pids.limit"),
    );
  if (resources.blockIO !== undefined) settings.push(...blockIo(resources.blockIO, files));
  settings.push(...rest(resources, files));
  return settings;
}

function memory(memory: MemoryResources): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: number | undefined, name: string) => {
    if (isSet(value))
      settings.push(setting("memory", file, decimal(value, `memory.${name}`), `memory.${name}`));
  };
  if (memory.useHierarchy !== undefined) {
    settings.push(
      setting("memory", "memory.use_hierarchy", memory.useHierarchy ? "1" : "0", "memory.useHierarchy"),
    );
  }
  add("memory.limit_in_bytes", memory.limit, "limit");
  // Without a limit on memory, one on the sum would stay behind from before.
  add("memory.memsw.limit_in_bytes", memory.limit === -1 && !isSet(memory.swap) ? -1 : memory.swap, "swap");
  add("memory.soft_limit_in_bytes", memory.reservation, "reservation");
  // Deprecated by the spec; new kernels accept it and do nothing, old ones honour it. The kernel has the say.
  add("memory.kmem.limit_in_bytes", memory.kernel, "kernel");
  add("memory.kmem.tcp.limit_in_bytes", memory.kernelTCP, "kernelTCP");
  if (memory.disableOOMKiller === true) {
    settings.push(setting("memory", "memory.oom_control", "1", "memory.disableOOMKiller"));
  }
  if (memory.swappiness !== undefined) {
    if (memory.swappiness > 100) refuse("memory.swappiness", `${memory.swappiness} is not between 0 and 100`);
    settings.push(
      setting(
        "memory",
        "memory.swappiness",
        decimal(memory.swappiness, "memory.swappiness"),
        "memory.swappiness",
      ),
    );
  }
  return settings;
}

function cpu(cpu: CpuResources): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: number | undefined, name: string) => {
    if (isSet(value)) settings.push(setting("cpu", file, decimal(value, `cpu.${name}`), `cpu.${name}`));
  };
  // Shares of an idle group cannot be set, so idle goes first when it ends and last when it begins.
  if (cpu.idle === 0) settings.push(setting("cpu", "cpu.idle", "0", "cpu.idle"));
  if (isSet(cpu.shares)) {
    // The kernel would clamp without a word.
    if (cpu.shares < 2 || cpu.shares > 262144)
      refuse("cpu.shares", `${cpu.shares} is not between 2 and 262144`);
    add("cpu.shares", cpu.shares, "shares");
  }
  add("cpu.cfs_period_us", cpu.period, "period");
  add("cpu.cfs_quota_us", cpu.quota, "quota");
  add("cpu.cfs_burst_us", cpu.burst, "burst");
  add("cpu.rt_period_us", cpu.realtimePeriod, "realtimePeriod");
  add("cpu.rt_runtime_us", cpu.realtimeRuntime, "realtimeRuntime");
  if (isSet(cpu.idle)) settings.push(setting("cpu", "cpu.idle", decimal(cpu.idle, "cpu.idle"), "cpu.idle"));
  if (cpu.cpus) settings.push(setting("cpuset", "cpuset.cpus", cpu.cpus, "cpu.cpus"));
  if (cpu.mems) settings.push(setting("cpuset", "cpuset.mems", cpu.mems, "cpu.mems"));
  return settings;
}

function blockIo(io: BlockIoResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, value: string, name: string) =>
    settings.push(setting("blkio", file, value, `blockIO.${name}`));
  // BFQ, which took CFQ's place in Linux 5.0, put its own name into the files'.
  const weight = files.exists("blkio", "blkio.bfq.weight") ? "blkio.bfq.weight" : "blkio.weight";
  if (isSet(io.weight)) add(weight, decimal(io.weight, "blockIO.weight"), "weight");
  if (isSet(io.leafWeight))
    add("blkio.leaf_weight", decimal(io.leafWeight, "blockIO.leafWeight"), "leafWeight");
  for (const { major, minor, weight: value, leafWeight } of io.weightDevice ?? []) {
    if (isSet(value))
      add(`${weight}_device`, `${major}:${minor} ${decimal(value, "blockIO.weightDevice")}`, "weightDevice");
    if (isSet(leafWeight)) {
      add(
        "blkio.leaf_weight_device",
        `${major}:${minor} ${decimal(leafWeight, "blockIO.weightDevice")}`,
        "weightDevice",
      );
    }
  }
  const throttles = [
    ["throttleReadBpsDevice", "read_bps"],
    ["throttleWriteBpsDevice", "write_bps"],
    ["throttleReadIOPSDevice", "read_iops"],
    ["throttleWriteIOPSDevice", "write_iops"],
  ] as const;
  for (const [name, file] of throttles) {
    for (const { major, minor, rate } of io[name] ?? []) {
      add(`blkio.throttle.${file}_device`, `${major}:${minor} ${decimal(rate, `blockIO.${name}`)}`, name);
    }
  }
  return settings;
}

function rest(resources: LinuxResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  settings.push(...hugepageSettings(resources, "limit_in_bytes", files));
  const classId = resources.network?.classID;
  if (isSet(classId)) {
    settings.push(
      setting("net_cls", "net_cls.classid", decimal(classId, "network.classID"), "network.classID"),
    );
  }
  for (const { name, priority } of resources.network?.priorities ?? []) {
    settings.push(setting("net_prio", "net_prio.ifpriomap", `${name} ${priority}`, "network.priorities"));
  }
  settings.push(...rdmaSettings(resources));
  if (Object.keys(resources.unified ?? {}).length > 0)
    refuse("unified", "this machine's controllers are cgroup v1");
  return settings;
}

/** rdma.max is the same file in v1 and v2. */
export function rdmaSettings(resources: LinuxResources): Setting[] {
  return Object.entries(resources.rdma ?? {}).map(([device, { hcaHandles, hcaObjects }]) => {
    const limits = [
      hcaHandles === undefined ? "" : ` hca_handle=${decimal(hcaHandles, "rdma")}`,
      hcaObjects === undefined ? "" : ` hca_object=${decimal(hcaObjects, "rdma")}`,
    ];
    return setting("rdma", "rdma.max", fileNamePart(device, "rdma") + limits.join(""), "rdma");
  });
}

/** Limits what is used, and where the kernel can (Linux 5.7) also what is reserved, which fails at mmap instead of by SIGBUS. */
export function hugepageSettings(resources: LinuxResources, suffix: string, files: CgroupFiles): Setting[] {
  return (resources.hugepageLimits ?? []).flatMap(({ pageSize, limit }, index) => {
    const property = `hugepageLimits[${index}]`;
    if (!/^[1-9][0-9]*[KMG]B$/.test(pageSize))
      refuse(`${property}.pageSize`, `${shown(pageSize)} is no size of pages, such as 2MB`);
    const size = `hugetlb.${pageSize}`;
    const data = decimal(limit, property);
    const names = [`${size}.${suffix}`];
    if (files.exists("hugetlb", `${size}.rsvd.${suffix}`)) names.push(`${size}.rsvd.${suffix}`);
    return names.map((name) => setting("hugetlb", name, data, property));
  });
}
