import type { CgroupPaths } from "./paths.ts";
import { readIfThere } from "./processes.ts";
import { hugePageSizes, readAll, readKeyed, readNumber, unlimited } from "./stat-files.ts";
import type { Usage } from "./usage.ts";

/** cpuacct.stat counts in USER_HZ, which is 100 on every architecture we run on. */
const nanosecondsPerTick = 10_000_000n;

/** cgroup v1; a controller that is not mounted counts nothing. */
export function usageV1(paths: CgroupPaths): Usage {
  const part = (controller: string, read: (directory: string) => Usage): Usage => {
    const directory = paths.v1.get(controller);
    return directory === undefined ? {} : read(directory);
  };
  return {
    cpu: { usage: part("cpuacct", readCpu), throttling: part("cpu", readThrottling) },
    cpuset: part("cpuset", readCpuset),
    memory: part("memory", readMemory),
    pids: part("pids", readPids),
    blkio: part("blkio", readBlkio),
    hugetlb: part("hugetlb", readHugetlb),
  };
}

/** 0: no limit. */
function readPids(directory: string): Usage {
  const limit = readNumber(`${directory}/pids.max`);
  return { current: readNumber(`${directory}/pids.current`), limit: limit === unlimited ? 0n : limit };
}

function readCpu(directory: string): Usage {
  const ticks = readKeyed(`${directory}/cpuacct.stat`);
  const rows = readIfThere(`${directory}/cpuacct.usage_all`).split("\n").slice(1).filter(Boolean);
  const column = (index: number): bigint[] => rows.map((row) => BigInt(row.split(" ")[index] ?? 0));
  return {
    total: readNumber(`${directory}/cpuacct.usage`),
    percpu: readIfThere(`${directory}/cpuacct.usage_percpu`).split(/\s+/).filter(Boolean).map(BigInt),
    percpu_kernel: column(2),
    percpu_user: column(1),
    kernel: ticks("system") * nanosecondsPerTick,
    user: ticks("user") * nanosecondsPerTick,
  };
}

function readThrottling(directory: string): Usage {
  const stat = readKeyed(`${directory}/cpu.stat`);
  return {
    periods: stat("nr_periods"),
    throttledPeriods: stat("nr_throttled"),
    throttledTime: stat("throttled_time"),
  };
}

function readCpuset(directory: string): Usage {
  const flags = [
    "cpu_exclusive",
    "mem_hardwall",
    "mem_exclusive",
    "memory_migrate",
    "memory_spread_page",
    "memory_spread_slab",
    "memory_pressure",
    "sched_load_balance",
  ];
  return {
    cpus: readList(`${directory}/cpuset.cpus`),
    mems: readList(`${directory}/cpuset.mems`),
    ...Object.fromEntries(flags.map((name) => [name, readNumber(`${directory}/cpuset.${name}`)])),
    // -1: as the kernel likes.
    sched_relax_domain_level: Number(readIfThere(`${directory}/cpuset.sched_relax_domain_level`) || 0),
  };
}

/** "0-2,4" */
export function readList(path: string): number[] {
  const ranges = readIfThere(path).trim().split(",").filter(Boolean);
  return ranges.flatMap((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

function readMemory(directory: string): Usage {
  const entry = (prefix: string): Usage => ({
    limit: readNumber(`${directory}/${prefix}.limit_in_bytes`),
    usage: readNumber(`${directory}/${prefix}.usage_in_bytes`),
    max: readNumber(`${directory}/${prefix}.max_usage_in_bytes`),
    failcnt: readNumber(`${directory}/${prefix}.failcnt`),
  });
  const raw = readAll(`${directory}/memory.stat`);
  return {
    cache: raw.get("cache") ?? 0n,
    usage: entry("memory"),
    swap: entry("memory.memsw"),
    kernel: entry("memory.kmem"),
    kernelTCP: entry("memory.kmem.tcp"),
    raw: Object.fromEntries(raw),
  };
}

/** The throttling layer counts under every scheduler. */
function readBlkio(directory: string): Usage {
  return {
    ioServiceBytesRecursive: readEntries(`${directory}/blkio.throttle.io_service_bytes_recursive`),
    ioServicedRecursive: readEntries(`${directory}/blkio.throttle.io_serviced_recursive`),
  };
}

/** "254:0 Read 4096"; the last line, "Total 4096", is of no device. */
function readEntries(path: string): Usage[] {
  return [...readIfThere(path).matchAll(/^(\d+):(\d+) (\w+) (\d+)$/gm)].map(
    ([, major = "0", minor = "0", op = "", value = "0"]) => ({
      major: BigInt(major),
      minor: BigInt(minor),
      op,
      value: BigInt(value),
    }),
  );
}

function readHugetlb(directory: string): Usage {
  return Object.fromEntries(
    hugePageSizes(directory, "usage_in_bytes").map((size) => [
      size,
      {
        usage: readNumber(`${directory}/hugetlb.${size}.usage_in_bytes`),
        max: readNumber(`${directory}/hugetlb.${size}.max_usage_in_bytes`),
        failcnt: readNumber(`${directory}/hugetlb.${size}.failcnt`),
      },
    ]),
  );
}
