import type { LinuxResources } from "../../bundle/resources.ts";
import { parseResources } from "../../bundle/spec.ts";
import { TandemError } from "../../errors.ts";
import { type Command, type Context, containerId, readClientFile } from "../command.ts";
import type { Given } from "../flags.ts";
import { LiveContainer } from "../live.ts";

export const update: Command = {
  summary: "change the limits of a container",
  operands: "ID",
  flags: {
    resources: { value: "FILE", short: "r", help: "limits as JSON (linux.resources), - for stdin" },
    "blkio-weight": { value: "N", help: "block I/O weight" },
    "cpu-period": { value: "µs", help: "length of a CPU period" },
    "cpu-quota": { value: "µs", help: "CPU time in a period" },
    "cpu-burst": { value: "µs", help: "CPU time saved up at most" },
    "cpu-share": { value: "N", help: "CPU shares" },
    "cpu-rt-period": { value: "µs", help: "length of a real-time period" },
    "cpu-rt-runtime": { value: "µs", help: "real-time CPU time in a period" },
    "cpuset-cpus": { value: "LIST", help: "CPUs" },
    "cpuset-mems": { value: "LIST", help: "memory nodes" },
    "cpu-idle": { value: "0|1", help: "SCHED_IDLE for all of it" },
    memory: { value: "BYTES", help: "memory limit" },
    "memory-reservation": { value: "BYTES", help: "soft memory limit" },
    "memory-swap": { value: "BYTES", help: "limit of memory and swap, -1 for none" },
    "pids-limit": { value: "N", help: "number of processes" },
  },
  run: async (context) => {
    const container = new LiveContainer(context.store, containerId(context));
    container.requireStatus("created", "running", "paused");
    await container.cgroup.update(await resourcesOf(context));
    return 0;
  },
};

async function resourcesOf(context: Context): Promise<LinuxResources> {
  const { given, call } = context;
  const file = given.text("resources");
  if (file === undefined) return fromFlags(given);
  const text = file === "-" ? (await call.readInput()).toString() : await readClientFile(context, file);
  try {
    return parseResources(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) throw new TandemError("invalid_argument", "--resources: is not JSON");
    throw error;
  }
}

/** runc's own options, in the shape of config.json. */
function fromFlags(given: Given): LinuxResources {
  const numbers = (entries: Readonly<Record<string, string>>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(entries).flatMap(([key, flag]) => {
        const value = flag.startsWith("cpuset-") ? given.text(flag) : given.number(flag);
        return value === undefined ? [] : [[key, value]];
      }),
    );
  const groups = {
    blockIO: numbers({ weight: "blkio-weight" }),
    cpu: numbers({
      period: "cpu-period",
      quota: "cpu-quota",
      burst: "cpu-burst",
      shares: "cpu-share",
      realtimePeriod: "cpu-rt-period",
      realtimeRuntime: "cpu-rt-runtime",
      cpus: "cpuset-cpus",
      mems: "cpuset-mems",
      idle: "cpu-idle",
    }),
    memory: numbers({ limit: "memory", reservation: "memory-reservation", swap: "memory-swap" }),
    pids: numbers({ limit: "pids-limit" }),
  };
  const given_ = Object.entries(groups).filter(([, values]) => Object.keys(values).length > 0);
  if (given_.length === 0) throw new TandemError("invalid_argument", "update: no limit is given");
  return parseResources(Object.fromEntries(given_));
}
