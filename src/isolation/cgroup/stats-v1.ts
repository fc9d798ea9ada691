import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type BlkIOStatSchema,
  type CPUStatSchema,
  type MemoryEntrySchema,
  type MemoryStatSchema,
  MetricsSchema,
} from "../../api/gen/io/containerd/cgroups/v1/metrics_pb.ts";
import type { CgroupPaths } from "./paths.ts";
import { readIfThere } from "./processes.ts";
import { hugePageSizes, readKeyed, readNumber, readRdma, unlimited } from "./stat-files.ts";

/** io.containerd.cgroups.v1.Metrics of a cgroup; a controller that is not mounted leaves its part out. */
export function statsV1(paths: CgroupPaths): Uint8Array {
  const part = <T>(controller: string, read: (directory: string) => T): T | undefined => {
    const directory = paths.v1.get(controller);
    return directory === undefined ? undefined : read(directory);
  };
  const present = {
    pids: part("pids", readPids),
    cpu: part("cpuacct", (directory) => readCpu(directory, paths.v1.get("cpu"))),
    memory: part("memory", readMemory),
    memoryOomControl: part("memory", readOomControl),
    blkio: part("blkio", readBlkio),
    rdma: part("rdma", (directory) => ({
      current: readRdma(`${directory}/rdma.current`),
      limit: readRdma(`${directory}/rdma.max`),
    })),
    hugetlb: part("hugetlb", readHugetlb) ?? [],
  };
  const defined = Object.fromEntries(Object.entries(present).filter(([, value]) => value !== undefined));
  return toBinary(MetricsSchema, create(MetricsSchema, defined));
}

/** containerd's consumers read 0 as "no limit" here. */
function readPids(directory: string): { current: bigint; limit: bigint } {
  const limit = readNumber(`${directory}/pids.max`);
  return { current: readNumber(`${directory}/pids.current`), limit: limit === unlimited ? 0n : limit };
}

/** cpuacct.stat counts in USER_HZ, which is 100 on every architecture we run on; metrics are nanoseconds. */
const nanosecondsPerTick = 10_000_000n;

function readCpu(cpuacct: string, cpu: string | undefined): MessageInitShape<typeof CPUStatSchema> {
  const ticks = readKeyed(`${cpuacct}/cpuacct.stat`);
  const usage = {
    total: readNumber(`${cpuacct}/cpuacct.usage`),
    kernel: ticks("system") * nanosecondsPerTick,
    user: ticks("user") * nanosecondsPerTick,
    perCpu: readIfThere(`${cpuacct}/cpuacct.usage_percpu`).split(/\s+/).filter(Boolean).map(BigInt),
  };
  if (cpu === undefined) return { usage };
  const stat = readKeyed(`${cpu}/cpu.stat`);
  const throttling = {
    periods: stat("nr_periods"),
    throttledPeriods: stat("nr_throttled"),
    throttledTime: stat("throttled_time"),
  };
  return { usage, throttling };
}

function readMemory(directory: string): MessageInitShape<typeof MemoryStatSchema> {
  const stat = readKeyed(`${directory}/memory.stat`);
  return {
    cache: stat("cache"),
    rss: stat("rss"),
    rssHuge: stat("rss_huge"),
    mappedFile: stat("mapped_file"),
    dirty: stat("dirty"),
    writeback: stat("writeback"),
    pgPgIn: stat("pgpgin"),
    pgPgOut: stat("pgpgout"),
    pgFault: stat("pgfault"),
    pgMajFault: stat("pgmajfault"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    hierarchicalMemoryLimit: stat("hierarchical_memory_limit"),
    hierarchicalSwapLimit: stat("hierarchical_memsw_limit"),
    totalCache: stat("total_cache"),
    totalRss: stat("total_rss"),
    totalRssHuge: stat("total_rss_huge"),
    totalMappedFile: stat("total_mapped_file"),
    totalDirty: stat("total_dirty"),
    totalWriteback: stat("total_writeback"),
    totalPgPgIn: stat("total_pgpgin"),
    totalPgPgOut: stat("total_pgpgout"),
    totalPgFault: stat("total_pgfault"),
    totalPgMajFault: stat("total_pgmajfault"),
    totalInactiveAnon: stat("total_inactive_anon"),
    totalActiveAnon: stat("total_active_anon"),
    totalInactiveFile: stat("total_inactive_file"),
    totalActiveFile: stat("total_active_file"),
    totalUnevictable: stat("total_unevictable"),
    usage: readEntry(directory, "memory"),
    swap: readEntry(directory, "memory.memsw"),
    kernel: readEntry(directory, "memory.kmem"),
    kernelTcp: readEntry(directory, "memory.kmem.tcp"),
  };
}

function readEntry(directory: string, prefix: string): MessageInitShape<typeof MemoryEntrySchema> {
  return {
    limit: readNumber(`${directory}/${prefix}.limit_in_bytes`),
    usage: readNumber(`${directory}/${prefix}.usage_in_bytes`),
    max: readNumber(`${directory}/${prefix}.max_usage_in_bytes`),
    failcnt: readNumber(`${directory}/${prefix}.failcnt`),
  };
}

function readOomControl(directory: string): { oomKillDisable: bigint; underOom: bigint; oomKill: bigint } {
  const control = readKeyed(`${directory}/memory.oom_control`);
  return {
    oomKillDisable: control("oom_kill_disable"),
    underOom: control("under_oom"),
    oomKill: control("oom_kill"),
  };
}

/** The throttling layer counts under every scheduler; BFQ's own counters are empty for another one. */
function readBlkio(directory: string): MessageInitShape<typeof BlkIOStatSchema> {
  return {
    ioServiceBytesRecursive: readBlkioEntries(`${directory}/blkio.throttle.io_service_bytes_recursive`),
    ioServicedRecursive: readBlkioEntries(`${directory}/blkio.throttle.io_serviced_recursive`),
  };
}

/** "254:0 Read 4096"; the last line, "Total 4096", is of no device. */
function readBlkioEntries(path: string): { op: string; major: bigint; minor: bigint; value: bigint }[] {
  return readIfThere(path)
    .split("\n")
    .flatMap((line) => {
      const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line);
      if (match === null) return [];
      const [, major = "0", minor = "0", op = "", value = "0"] = match;
      return [{ op, major: BigInt(major), minor: BigInt(minor), value: BigInt(value) }];
    });
}

function readHugetlb(directory: string): { usage: bigint; max: bigint; failcnt: bigint; pagesize: string }[] {
  return hugePageSizes(directory, "usage_in_bytes").map((pagesize) => ({
    pagesize,
    usage: readNumber(`${directory}/hugetlb.${pagesize}.usage_in_bytes`),
    max: readNumber(`${directory}/hugetlb.${pagesize}.max_usage_in_bytes`),
    failcnt: readNumber(`${directory}/hugetlb.${pagesize}.failcnt`),
  }));
}
