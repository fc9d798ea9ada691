import { existsSync } from "node:fs";
import { pidsIn } from "./processes.ts";
import {
  hugePageSizes,
  readAll,
  readKeyed,
  readNested,
  readNumber,
  readPressure,
  unlimited,
} from "./stat-files.ts";
import type { Usage, UsageValue } from "./usage.ts";
import { readList } from "./usage-v1.ts";

/** cgroup v2, by v1's names. */
export function usageV2(directory: string): Usage {
  return {
    cpu: readCpu(directory),
    cpuset: {
      cpus: readList(`${directory}/cpuset.cpus`),
      mems: readList(`${directory}/cpuset.mems`),
    },
    memory: readMemory(directory),
    pids: readPids(directory),
    blkio: { ...readIo(directory), ...pressure(`${directory}/io.pressure`) },
    hugetlb: readHugetlb(directory),
  };
}

/** Without the controller nothing is limited, but there are processes all the same. */
function readPids(directory: string): Usage {
  if (!existsSync(`${directory}/pids.max`)) return { current: BigInt(pidsIn(directory).length), limit: 0n };
  const limit = readNumber(`${directory}/pids.max`);
  return { current: readNumber(`${directory}/pids.current`), limit: limit === unlimited ? 0n : limit };
}

const nanosecondsPerMicrosecond = 1000n;

function readCpu(directory: string): Usage {
  const stat = readKeyed(`${directory}/cpu.stat`);
  const nanoseconds = (key: string): bigint => stat(key) * nanosecondsPerMicrosecond;
  return {
    usage: {
      total: nanoseconds("usage_usec"),
      kernel: nanoseconds("system_usec"),
      user: nanoseconds("user_usec"),
    },
    throttling: {
      periods: stat("nr_periods"),
      throttledPeriods: stat("nr_throttled"),
      throttledTime: nanoseconds("throttled_usec"),
    },
    ...pressure(`${directory}/cpu.pressure`),
  };
}

/** v1's "swap" is memory and swap together. */
function readMemory(directory: string): Usage {
  const raw = readAll(`${directory}/memory.stat`);
  const usage = readNumber(`${directory}/memory.current`);
  const limit = readNumber(`${directory}/memory.max`);
  const swapLimit = readNumber(`${directory}/memory.swap.max`);
  const none = { limit: 0n, failcnt: 0n };
  return {
    cache: raw.get("file") ?? 0n,
    usage: { limit, usage, max: readNumber(`${directory}/memory.peak`), failcnt: 0n },
    swap: {
      limit: limit === unlimited || swapLimit === unlimited ? unlimited : limit + swapLimit,
      usage: usage + readNumber(`${directory}/memory.swap.current`),
      failcnt: 0n,
    },
    kernel: none,
    kernelTCP: none,
    raw: Object.fromEntries(raw),
    ...pressure(`${directory}/memory.pressure`),
  };
}

function readIo(directory: string): Usage {
  const devices = readNested(`${directory}/io.stat`);
  const table = (read: string, write: string): Usage[] =>
    devices.flatMap(({ name, value }) => {
      const [major = "0", minor = "0"] = name.split(":");
      const entry = (op: string, key: string): Usage => ({
        major: BigInt(major),
        minor: BigInt(minor),
        op,
        value: value(key),
      });
      return [entry("Read", read), entry("Write", write)];
    });
  return {
    ioServiceBytesRecursive: table("rbytes", "wbytes"),
    ioServicedRecursive: table("rios", "wios"),
  };
}

function readHugetlb(directory: string): Usage {
  return Object.fromEntries(
    hugePageSizes(directory, "current").map((size) => [
      size,
      {
        usage: readNumber(`${directory}/hugetlb.${size}.current`),
        max: readNumber(`${directory}/hugetlb.${size}.max`),
        failcnt: readKeyed(`${directory}/hugetlb.${size}.events`)("max"),
      },
    ]),
  );
}

function pressure(path: string): Usage {
  const { psi } = readPressure(path);
  if (psi === undefined) return {};
  const parts = Object.entries(psi).map(([kind, value]): [string, UsageValue] => [kind, { ...value }]);
  return { psi: Object.fromEntries(parts) };
}
