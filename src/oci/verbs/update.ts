import type { LinuxResources } from "../../bundle/resources.ts";
import { parseResources } from "../../bundle/spec.ts";
import { TandemError } from "../../errors.ts";
import { mountedResctrl } from "../../isolation/cgroup.ts";
import { updateIntelRdt } from "../../isolation/intel-rdt.ts";
import { type Command, type Context, containerId, readClientFile } from "../command.ts";
import type { Given } from "../flags.ts";
import { LiveContainer } from "../live-container.ts";

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
    memory: { value: "BYTES", help: "memory limit; as the others also with a unit: 64M, 1GiB" },
    "memory-reservation": { value: "BYTES", help: "soft memory limit" },
    "memory-swap": { value: "BYTES", help: "limit of memory and swap, -1 for none" },
    "kernel-memory": {
      value: "BYTES",
      help: "accepted for runc's sake: kernels have no such limit any more",
    },
    "kernel-memory-tcp": { value: "BYTES", help: "accepted for runc's sake, as before" },
    "pids-limit": { value: "N", help: "number of processes" },
    "l3-cache-schema": { value: "LINE", help: "Intel RDT: parts of the L3 cache" },
    "mem-bw-schema": { value: "LINE", help: "Intel RDT: memory bandwidth" },
  },
  run: async (context) => {
    const id = containerId(context);
    const resources = await resourcesOf(context);
    const find = (): LiveContainer => LiveContainer.find(context.store, id, "created", "running", "paused");
    await context.alone(async () => {
      const container = find();
      updateRdt(context, container);
      await container.cgroup.update(resources);
    }, find);
    return 0;
  },
};

function updateRdt({ given }: Context, { record }: LiveContainer): void {
  const l3CacheSchema = given.text("l3-cache-schema") ?? "";
  const memBwSchema = given.text("mem-bw-schema") ?? "";
  if (l3CacheSchema === "" && memBwSchema === "") return;
  updateIntelRdt(record.spec.linux?.intelRdt, record.id, mountedResctrl(), { l3CacheSchema, memBwSchema });
}

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

/** runc's own options, in the shape of config.json; what is not given is left as it is. */
function fromFlags(given: Given): LinuxResources {
  const group = (
    flags: Readonly<Record<string, string>>,
    read: (flag: string) => number | string | undefined,
  ): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(flags)
        .map(([key, flag]) => [key, read(flag)] as const)
        .filter(([, value]) => value !== undefined),
    );
  const number = (flag: string): number | undefined => given.number(flag);
  const text = (flag: string): string | undefined => given.text(flag);
  const bytes = (flag: string): number | undefined => parseBytes(flag, given.text(flag));
  return parseResources({
    blockIO: group({ weight: "blkio-weight" }, number),
    cpu: {
      ...group(
        {
          period: "cpu-period",
          quota: "cpu-quota",
          burst: "cpu-burst",
          shares: "cpu-share",
          realtimePeriod: "cpu-rt-period",
          realtimeRuntime: "cpu-rt-runtime",
          idle: "cpu-idle",
        },
        number,
      ),
      ...group({ cpus: "cpuset-cpus", mems: "cpuset-mems" }, text),
    },
    memory: group({ limit: "memory", reservation: "memory-reservation", swap: "memory-swap" }, bytes),
    pids: group({ limit: "pids-limit" }, number),
  });
}

const units = ["", "k", "m", "g", "t", "p"];

/** "64M", "1.5GiB", "1000", "-1". @throws TandemError invalid_argument */
export function parseBytes(flag: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "-1") return -1;
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new TandemError("invalid_argument", `--${flag} ${text}: is no number of bytes`);
  return Math.floor(Number(match[1]) * 1024 ** units.indexOf((match[2] ?? "").toLowerCase()));
}
