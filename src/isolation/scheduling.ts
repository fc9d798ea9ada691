import type { SpecProcess } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { Step } from "./steps.ts";

const policies = ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];
const schedulerFlags: Readonly<Record<string, bigint>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
};
const ioClasses = ["IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];
const IOPRIO_CLASS_SHIFT = 13;

/**
 * `process.scheduler` and `process.ioPriority`.
 *
 * @throws TandemError invalid_argument naming the property
 */
export function schedulingSteps(process: SpecProcess): Step[] {
  const steps: Step[] = [];
  const { scheduler, ioPriority } = process;
  if (scheduler !== undefined) {
    const policy = policies.indexOf(scheduler.policy);
    if (policy < 0) throw new TandemError("invalid_argument", `process.scheduler.policy: unknown ${scheduler.policy}`);
    let flags = 0n;
    for (const name of scheduler.flags ?? []) {
      const bit = schedulerFlags[name];
      if (bit === undefined) throw new TandemError("invalid_argument", `process.scheduler.flags: unknown ${name}`);
      flags |= bit;
    }
    steps.push({
      op: "scheduler",
      property: "process.scheduler",
      policy,
      flags,
      nice: scheduler.nice ?? 0,
      priority: scheduler.priority ?? 0,
      runtime: BigInt(scheduler.runtime ?? 0),
      deadline: BigInt(scheduler.deadline ?? 0),
      period: BigInt(scheduler.period ?? 0),
    });
  }
  if (ioPriority !== undefined) {
    const ioClass = ioClasses.indexOf(ioPriority.class);
    if (ioClass < 1) throw new TandemError("invalid_argument", `process.ioPriority.class: unknown ${ioPriority.class}`);
    const value = (ioClass << IOPRIO_CLASS_SHIFT) | ioPriority.priority;
    steps.push({ op: "ioPriority", property: "process.ioPriority", value });
  }
  return steps;
}

/**
 * `process.execCPUAffinity` of an exec, "0-3,7".
 *
 * @throws TandemError invalid_argument naming the property
 */
export function affinitySteps(affinity: SpecProcess["execCPUAffinity"]): Step[] {
  const key = affinity?.final === undefined ? "initial" : "final";
  const cpus = affinity?.[key];
  if (cpus === undefined || cpus === "") return [];
  const property = `process.execCPUAffinity.${key}`;
  const mask = Buffer.alloc(128);
  for (const range of cpus.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range.trim());
    const first = Number(match?.[1]);
    const last = match?.[2] === undefined ? first : Number(match[2]);
    if (match === null || last < first || last >= mask.length * 8) {
      throw new TandemError("invalid_argument", `${property}: ${cpus} is no list of CPUs`);
    }
    for (let cpu = first; cpu <= last; cpu++) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  }
  return [{ op: "affinity", property, mask }];
}
