import type { Setting } from "../cgroup/setting.ts";
import type { UnitProperty } from "./manager.ts";

/** systemd's "no limit", a limit of 2^64 - 1. */
const infinity = 0xffff_ffff_ffff_ffffn;
const DEFAULT_PERIOD_US = 100_000n;

/** Properties that a file's content is to systemd. */
type Conversion = (data: string) => readonly UnitProperty[];

/** Files of both versions that systemd has a property for, systemd.resource-control(5). */
const conversions: Readonly<Record<string, Conversion>> = {
  "memory.max": amount("MemoryMax"),
  "memory.high": amount("MemoryHigh"),
  "memory.low": amount("MemoryLow"),
  "memory.min": amount("MemoryMin"),
  "memory.swap.max": amount("MemorySwapMax"),
  "memory.limit_in_bytes": amount("MemoryLimit"),
  "pids.max": amount("TasksMax"),
  "cpu.weight": amount("CPUWeight"),
  "cpu.shares": amount("CPUShares"),
  "blkio.weight": amount("BlockIOWeight"),
  "blkio.bfq.weight": amount("BlockIOWeight"),
  "io.weight": (data) => (data.startsWith("default ") ? amount("IOWeight")(data.slice(8)) : []),
  "io.bfq.weight": (data) => (data.startsWith("default ") ? amount("IOWeight")(data.slice(8)) : []),
  "cpu.max": cpuMax,
  "cpuset.cpus": cpuSet("AllowedCPUs"),
  "cpuset.mems": cpuSet("AllowedMemoryNodes"),
};

/**
 * What systemd must know of the settings, because it writes these files itself whenever it thinks fit: a limit set behind its
 * back is gone at the next daemon-reload. What it has no property for it leaves alone; exact values are written afterwards.
 */
export function unitProperties(settings: readonly Setting[]): readonly UnitProperty[] {
  const properties = new Map<string, UnitProperty>();
  for (const { file, data } of withoutV1Quota(settings))
    for (const property of conversions[file]?.(data) ?? []) properties.set(property[0], property);
  return [...properties.values()];
}

/** v1 has quota and period in two files; as v2 writes them they are one. */
function withoutV1Quota(settings: readonly Setting[]): readonly Pick<Setting, "file" | "data">[] {
  const value = (name: string) => settings.find(({ file }) => file === name)?.data;
  const quota = value("cpu.cfs_quota_us");
  if (quota === undefined) return settings;
  const data = `${quota.startsWith("-") ? "max" : quota} ${value("cpu.cfs_period_us") ?? DEFAULT_PERIOD_US}`;
  return [...settings, { file: "cpu.max", data }];
}

function amount(name: string): Conversion {
  return (data) => {
    if (data === "max" || data.startsWith("-")) return [[name, { signature: "t", value: infinity }]];
    // A file of `unified` may hold anything; what is no number is for the kernel to refuse.
    return /^\d+$/.test(data) ? [[name, { signature: "t", value: BigInt(data) }]] : [];
  };
}

function cpuMax(data: string): readonly UnitProperty[] {
  const match = /^(max|\d+)(?: (\d+))?$/.exec(data);
  if (match?.[1] === undefined) return [];
  const period = BigInt(match[2] ?? DEFAULT_PERIOD_US);
  const properties: UnitProperty[] = [["CPUQuotaPerSecUSec", { signature: "t", value: infinity }]];
  if (match[1] !== "max" && period > 0n) {
    // systemd keeps whole percents: rounded up, so that the exact value, which is written afterwards, is within.
    const perSecond = (BigInt(match[1]) * 1_000_000n + period - 1n) / period;
    const value = ((perSecond + 9_999n) / 10_000n) * 10_000n;
    properties[0] = ["CPUQuotaPerSecUSec", { signature: "t", value }];
  }
  if (period !== DEFAULT_PERIOD_US)
    properties.push(["CPUQuotaPeriodUSec", { signature: "t", value: period }]);
  return properties;
}

function cpuSet(name: string): Conversion {
  return (data) => {
    const bits: number[] = [];
    for (const range of data.split(",").filter((part) => part.trim() !== "")) {
      const match = /^\s*(\d{1,4})(?:-(\d{1,4}))?\s*$/.exec(range);
      if (match?.[1] === undefined) return [];
      for (let cpu = Number(match[1]); cpu <= Number(match[2] ?? match[1]); cpu++) {
        const byte = cpu >> 3;
        while (bits.length <= byte) bits.push(0);
        bits[byte] = (bits[byte] ?? 0) | (1 << (cpu & 7));
      }
    }
    return bits.length === 0 ? [] : [[name, { signature: "ay", value: bits }]];
  };
}

/** Properties that a later systemd than the oldest in use brought, and with which version: older ones refuse the whole call. */
const since: Readonly<Record<string, number>> = {
  CPUQuotaPeriodUSec: 242,
  AllowedCPUs: 244,
  AllowedMemoryNodes: 244,
};

/** Whether it matters how old systemd is. */
export function needsVersion(properties: readonly UnitProperty[]): boolean {
  return properties.some(([name]) => since[name] !== undefined);
}

/** Without what that version does not know; the cgroup's own files are set all the same. */
export function knownTo(version: number, properties: readonly UnitProperty[]): readonly UnitProperty[] {
  return properties.filter(([name]) => (since[name] ?? 0) <= version);
}
