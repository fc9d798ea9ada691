import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type CPUStatSchema,
  type IOEntrySchema,
  type MemoryEventsSchema,
  type MemoryStatSchema,
  MetricsSchema,
} from "../../api/gen/io/containerd/cgroups/v2/metrics_pb.ts";
import { hugePageSizes, readKeyed, readNested, readNumber, readPressure, readRdma } from "./stat-files.ts";

/** io.containerd.cgroups.v2.Metrics of a cgroup; what a disabled controller would say is 0. */
export function statsV2(directory: string): Uint8Array {
  const metrics = create(MetricsSchema, {
    pids: { current: readNumber(`${directory}/pids.current`), limit: readNumber(`${directory}/pids.max`) },
    cpu: readCpu(directory),
    memory: readMemory(directory),
    memoryEvents: readMemoryEvents(directory),
    io: {
      usage: readNested(`${directory}/io.stat`).map(toIoEntry),
      ...readPressure(`${directory}/io.pressure`),
    },
    rdma: { current: readRdma(`${directory}/rdma.current`), limit: readRdma(`${directory}/rdma.max`) },
    hugetlb: hugePageSizes(directory, "current").map((pagesize) => ({
      pagesize,
      current: readNumber(`${directory}/hugetlb.${pagesize}.current`),
      max: readNumber(`${directory}/hugetlb.${pagesize}.max`),
      failcnt: readKeyed(`${directory}/hugetlb.${pagesize}.events`)("max"),
    })),
  });
  return toBinary(MetricsSchema, metrics);
}

function readCpu(directory: string): MessageInitShape<typeof CPUStatSchema> {
  const stat = readKeyed(`${directory}/cpu.stat`);
  return {
    usageUsec: stat("usage_usec"),
    userUsec: stat("user_usec"),
    systemUsec: stat("system_usec"),
    nrPeriods: stat("nr_periods"),
    nrThrottled: stat("nr_throttled"),
    throttledUsec: stat("throttled_usec"),
    nrBursts: stat("nr_bursts"),
    burstUsec: stat("burst_usec"),
    ...readPressure(`${directory}/cpu.pressure`),
  };
}

function readMemory(directory: string): MessageInitShape<typeof MemoryStatSchema> {
  const stat = readKeyed(`${directory}/memory.stat`);
  return {
    anon: stat("anon"),
    file: stat("file"),
    kernelStack: stat("kernel_stack"),
    slab: stat("slab"),
    sock: stat("sock"),
    shmem: stat("shmem"),
    fileMapped: stat("file_mapped"),
    fileDirty: stat("file_dirty"),
    fileWriteback: stat("file_writeback"),
    anonThp: stat("anon_thp"),
    inactiveAnon: stat("inactive_anon"),
    activeAnon: stat("active_anon"),
    inactiveFile: stat("inactive_file"),
    activeFile: stat("active_file"),
    unevictable: stat("unevictable"),
    slabReclaimable: stat("slab_reclaimable"),
    slabUnreclaimable: stat("slab_unreclaimable"),
    pgfault: stat("pgfault"),
    pgmajfault: stat("pgmajfault"),
    // Split in two since Linux 5.9.
    workingsetRefault:
      stat("workingset_refault") + stat("workingset_refault_anon") + stat("workingset_refault_file"),
    workingsetActivate:
      stat("workingset_activate") + stat("workingset_activate_anon") + stat("workingset_activate_file"),
    workingsetRefaultAnon: stat("workingset_refault_anon"),
    workingsetRefaultFile: stat("workingset_refault_file"),
    workingsetActivateAnon: stat("workingset_activate_anon"),
    workingsetActivateFile: stat("workingset_activate_file"),
    workingsetNodereclaim: stat("workingset_nodereclaim"),
    pgrefill: stat("pgrefill"),
    pgscan: stat("pgscan"),
    pgsteal: stat("pgsteal"),
    pgactivate: stat("pgactivate"),
    pgdeactivate: stat("pgdeactivate"),
    pglazyfree: stat("pglazyfree"),
    pglazyfreed: stat("pglazyfreed"),
    thpFaultAlloc: stat("thp_fault_alloc"),
    thpCollapseAlloc: stat("thp_collapse_alloc"),
    usage: readNumber(`${directory}/memory.current`),
    usageLimit: readNumber(`${directory}/memory.max`),
    maxUsage: readNumber(`${directory}/memory.peak`),
    swapUsage: readNumber(`${directory}/memory.swap.current`),
    swapLimit: readNumber(`${directory}/memory.swap.max`),
    swapMaxUsage: readNumber(`${directory}/memory.swap.peak`),
    ...readPressure(`${directory}/memory.pressure`),
  };
}

function readMemoryEvents(directory: string): MessageInitShape<typeof MemoryEventsSchema> {
  const events = readKeyed(`${directory}/memory.events`);
  return {
    low: events("low"),
    high: events("high"),
    max: events("max"),
    oom: events("oom"),
    oomKill: events("oom_kill"),
    oomGroupKill: events("oom_group_kill"),
  };
}

function toIoEntry({
  name,
  value,
}: ReturnType<typeof readNested>[number]): MessageInitShape<typeof IOEntrySchema> {
  const [major = "0", minor = "0"] = name.split(":");
  return {
    major: BigInt(major),
    minor: BigInt(minor),
    rbytes: value("rbytes"),
    wbytes: value("wbytes"),
    rios: value("rios"),
    wios: value("wios"),
  };
}
