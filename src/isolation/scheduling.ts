import type { SpecProcess } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import { lookUp } from "./look-up.ts";
import { bitsOf } from "./number-list.ts";
import { toUint64 } from "./rlimits.ts";
import type { Step } from "./steps.ts";

const policies = [
  "SCHED_OTHER",
  "SCHED_FIFO",
  "SCHED_RR",
  "SCHED_BATCH",
  "SCHED_ISO",
  "SCHED_IDLE",
  "SCHED_DEADLINE",
];
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
/** Of cpu_set_t, sched.h. */
const CPU_SETSIZE = 1024;

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
    if (policy < 0) refuse("scheduler.policy", `unknown ${shown(scheduler.policy)}`);
    checkScheduler(scheduler);
    let flags = 0n;
    for (const [index, name] of (scheduler.flags ?? []).entries()) {
      const bit = lookUp(schedulerFlags, name);
      if (bit === undefined) refuse(`scheduler.flags[${index}]`, `unknown ${shown(name)}`);
      flags |= bit;
    }
    steps.push({
      op: "scheduler",
      property: "process.scheduler",
      policy,
      flags,
      nice: scheduler.nice ?? 0,
      priority: scheduler.priority ?? 0,
      runtime: toUint64(scheduler.runtime ?? 0),
      deadline: toUint64(scheduler.deadline ?? 0),
      period: toUint64(scheduler.period ?? 0),
    });
  }
  if (ioPriority !== undefined) {
    const ioClass = ioClasses.indexOf(ioPriority.class);
    if (ioClass < 1) refuse("ioPriority.class", `unknown ${shown(ioPriority.class)}`);
    const value = (ioClass << IOPRIO_CLASS_SHIFT) | (ioPriority.priority ?? 0);
    steps.push({ op: "ioPriority", property: "process.ioPriority", value });
  }
  return steps;
}

function refuse(property: string, reason: string): never {
  throw new TandemError("invalid_argument", `process.${property}: ${reason}`);
}

/** What sched_setattr(2) would refuse without saying which of its fields it means, or not look at. */
function checkScheduler(scheduler: NonNullable<SpecProcess["scheduler"]>): void {
  const { policy, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
  const isRealtime = policy === "SCHED_FIFO" || policy === "SCHED_RR";
  if (priority !== 0 && !isRealtime) refuse("scheduler.priority", `${policy} has none`);
  if (isRealtime && (priority < 1 || priority > 99))
    refuse("scheduler.priority", `${priority} is not between 1 and 99, as ${policy} needs it`);
  if (policy !== "SCHED_DEADLINE") {
    for (const name of ["runtime", "deadline", "period"] as const)
      if ((scheduler[name] ?? 0) !== 0) refuse(`scheduler.${name}`, `${policy} has none`);
    return;
  }
  if (runtime === 0) refuse("scheduler.runtime", `${policy} needs it`);
  if (deadline < runtime) refuse("scheduler.deadline", "is shorter than the runtime");
  if (period !== 0 && period < deadline) refuse("scheduler.period", "is shorter than the deadline");
}

/**
 * `process.execCPUAffinity` of an exec, "0-3,7".
 *
 * @throws TandemError invalid_argument naming the property
 */
export function affinitySteps(affinity: SpecProcess["execCPUAffinity"]): readonly Step[] {
  const initial = affinityStep("initial", affinity?.initial);
  const final = affinityStep("final", affinity?.final);
  const last = affinity?.final === undefined ? initial : final;
  return last.length > 0 ? last : anyCpu;
}

/** Every CPU of the container's cpuset: whoever called may have been bound to one, and its container is not. */
export const anyCpu: readonly Step[] = [
  { op: "affinity", property: "", mask: new Uint8Array(CPU_SETSIZE / 8).fill(0xff) },
];

function affinityStep(key: "initial" | "final", cpus: string | undefined): Step[] {
  if (cpus === undefined || cpus === "") return [];
  const property = `process.execCPUAffinity.${key}`;
  return [{ op: "affinity", property, mask: bitsOf(cpus, property, "CPUs") }];
}
