import type {
  BlockIoResources,
  CpuResources,
  LinuxResources,
  MemoryResources,
} from "../../bundle/resources.ts";
import { type CgroupFiles, decimal, fileNamePart, isSet, refuse, type Setting, setting } from "./setting.ts";
import { hugepageSettings, rdmaSettings } from "./v1-settings.ts";

const notInV2 = "cgroup v2 has no such limit";

/**
 * What `linux.resources` (devices apart) means on cgroup v2, in the order of writing; only what is given.
 * Kernel documentation: admin-guide/cgroup-v2; the conversions are those that runc and crun agree on.
 *
 * @throws TandemError invalid_argument naming a property that v2 does not have or whose value makes no sense.
 */
export function v2Settings(resources: LinuxResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  if (resources.memory !== undefined) settings.push(...memory(resources.memory));
  if (resources.cpu !== undefined) settings.push(...cpu(resources.cpu, files));
  const pids = resources.pids?.limit;
  // 0 is a limit (config-linux.md "PIDs"); the container's own process is there already, so that 1 says the same, and systemd takes it.
  if (pids !== undefined)
    settings.push(setting("pids", "pids.max", limit(pids === 0 ? 1 : pids, "pids.limit"), "pids.limit"));
  if (resources.blockIO !== undefined) settings.push(...blockIo(resources.blockIO, files));
  settings.push(...hugepageSettings(resources, "max", files));
  if (isSet(resources.network?.classID)) refuse("network.classID", notInV2);
  if (resources.network?.priorities?.length) refuse("network.priorities", notInV2);
  settings.push(...rdmaSettings(resources));
  for (const [file, data] of Object.entries(resources.unified ?? {})) {
    const controller = fileNamePart(file, "unified").split(".", 1)[0] ?? "";
    settings.push(
      setting(controller === "cgroup" ? "" : controller, file, data, `unified[${JSON.stringify(file)}]`),
    );
  }
  return settings;
}

/**
 * cpu.shares (2 … 262144, default 1024) as cpu.weight (1 … 10000, default 100): the curve through these three points that
 * runc 1.3 and crun 1.23 use; the straight line before it made 39 of the default.
 */
export function weightFromShares(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262144) return 10000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}

/** blkio.weight (10 … 1000) as io.weight (1 … 10000), linearly. */
export function ioWeightFromBlkio(weight: number): number {
  return 1 + Math.trunc(((weight - 10) * 9999) / 990);
}

function limit(value: number, property: string): string {
  return value < 0 ? "max" : decimal(value, property);
}

function memory(memory: MemoryResources): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, data: string, name: string) =>
    settings.push(setting("memory", file, data, `memory.${name}`));
  if (isSet(memory.kernel)) refuse("memory.kernel", notInV2);
  if (isSet(memory.kernelTCP)) refuse("memory.kernelTCP", notInV2);
  if (memory.swappiness !== undefined) refuse("memory.swappiness", notInV2);
  if (memory.disableOOMKiller === true) refuse("memory.disableOOMKiller", notInV2);
  if (memory.useHierarchy === false) refuse("memory.useHierarchy", "cgroup v2 is always hierarchical");
  const swap = swapMax(memory);
  if (swap !== undefined) add("memory.swap.max", swap, "swap");
  if (isSet(memory.limit)) add("memory.max", limit(memory.limit, "memory.limit"), "limit");
  if (isSet(memory.reservation))
    add("memory.low", limit(memory.reservation, "memory.reservation"), "reservation");
  return settings;
}

/** The spec's swap is memory and swap together (v1's memsw); v2 limits swap alone. */
function swapMax({ limit: memoryLimit, swap }: MemoryResources): string | undefined {
  if (!isSet(swap)) return memoryLimit === -1 ? "max" : undefined;
  if (swap < 0) return "max";
  if (!isSet(memoryLimit) || memoryLimit < 0) refuse("memory.swap", "needs memory.limit beside it");
  if (swap < memoryLimit) refuse("memory.swap", "is below memory.limit");
  return decimal(swap - memoryLimit, "memory.swap");
}

function cpu(cpu: CpuResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, data: string, name: string) =>
    settings.push(setting("cpu", file, data, `cpu.${name}`));
  if (isSet(cpu.realtimeRuntime)) refuse("cpu.realtimeRuntime", "no such cgroup file in v2");
  if (isSet(cpu.realtimePeriod)) refuse("cpu.realtimePeriod", "no such cgroup file in v2");
  if (cpu.idle === 0) add("cpu.idle", "0", "idle");
  if (isSet(cpu.shares)) {
    if (cpu.shares < 2 || cpu.shares > 262144)
      refuse("cpu.shares", `${cpu.shares} is not between 2 and 262144`);
    add("cpu.weight", String(weightFromShares(cpu.shares)), "shares");
  }
  if (isSet(cpu.quota)) {
    const period = isSet(cpu.period) ? ` ${decimal(cpu.period, "cpu.period")}` : "";
    add("cpu.max", limit(cpu.quota, "cpu.quota") + period, "quota");
  } else if (isSet(cpu.period)) {
    // The file takes a quota alone but no period alone.
    const quota = files.read("cpu", "cpu.max").split(" ", 1)[0] ?? "max";
    add("cpu.max", `${quota} ${decimal(cpu.period, "cpu.period")}`, "period");
  }
  if (isSet(cpu.burst)) add("cpu.max.burst", decimal(cpu.burst, "cpu.burst"), "burst");
  if (isSet(cpu.idle)) add("cpu.idle", decimal(cpu.idle, "cpu.idle"), "idle");
  if (cpu.cpus) settings.push(setting("cpuset", "cpuset.cpus", cpu.cpus, "cpu.cpus"));
  if (cpu.mems) settings.push(setting("cpuset", "cpuset.mems", cpu.mems, "cpu.mems"));
  return settings;
}

function blockIo(io: BlockIoResources, files: CgroupFiles): Setting[] {
  const settings: Setting[] = [];
  const add = (file: string, data: string, name: string) =>
    settings.push(setting("io", file, data, `blockIO.${name}`));
  if (isSet(io.leafWeight)) refuse("blockIO.leafWeight", notInV2);
  // BFQ's file has blkio's scale; io.cost's has its own.
  const bfq = files.exists("io", "io.bfq.weight");
  const weightFile = bfq ? "io.bfq.weight" : "io.weight";
  const scale = (weight: number) => decimal(bfq ? weight : ioWeightFromBlkio(weight), "blockIO.weight");
  if (isSet(io.weight)) add(weightFile, `default ${scale(io.weight)}`, "weight");
  for (const { major, minor, weight, leafWeight } of io.weightDevice ?? []) {
    if (isSet(leafWeight)) refuse("blockIO.weightDevice", notInV2);
    if (isSet(weight)) add(weightFile, `${major}:${minor} ${scale(weight)}`, "weightDevice");
  }
  const throttles = [
    ["throttleReadBpsDevice", "rbps"],
    ["throttleWriteBpsDevice", "wbps"],
    ["throttleReadIOPSDevice", "riops"],
    ["throttleWriteIOPSDevice", "wiops"],
  ] as const;
  for (const [name, key] of throttles) {
    for (const { major, minor, rate } of io[name] ?? []) {
      add(
        "io.max",
        `${major}:${minor} ${key}=${rate === 0 ? "max" : decimal(rate, `blockIO.${name}`)}`,
        name,
      );
    }
  }
  return settings;
}
