import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BenchCgroups } from "../cgroups.ts";
import { sumMemory } from "../measure/idle-memory.ts";
import { quantile, type Summary, summarise } from "../statistics.ts";
import { createBundle, EXTRA_MOUNTS, type Kind } from "./bundles.ts";
import type { Driver, Step, StepTime } from "./driver.ts";
import type { Runtime } from "./runtimes.ts";
import { aliveSteps, kernelStep, lifeSteps, monitoredSteps, runSteps, type StepContext } from "./steps.ts";

/** Milliseconds of one runtime, by the names of its steps; "life" is create, start and delete of one round together. */
export type StepSummaries = Readonly<Record<string, Summary>>;

export interface Alive {
  readonly containers: number;
  /** Milliseconds of create and start: median of the first and of the last of them. */
  readonly first: number;
  readonly last: number;
  /** Kilobytes for each container: over all processes of the runtime, and as MemAvailable has shrunk. */
  readonly pss: number;
  readonly available: number;
}

/** A runtime that can make containers; some cannot `run` one to its end. */
export interface AbleRuntime extends Runtime {
  readonly runs: boolean;
}

export interface Bench {
  readonly directory: string;
  readonly rootfs: string;
  readonly cgroups: BenchCgroups;
  readonly driver: Driver;
}

const WARM_UPS = 2;
const TRIALS = 20;
/** Containers at either end that the medians of `first` and `last` are of. */
const EDGE = 20;
/** The kernel adds a CPU's counts to the cgroup's every two seconds, or when somebody reads after enough of them. */
const FLUSH_MS = 2_100;

/** All runtimes in turns, each `run` and each create, start, delete; and the kernel alone. */
export async function measureTimes(
  bench: Bench,
  runtimes: readonly AbleRuntime[],
  options: { readonly kind: Kind; readonly rounds: number; onRound(round: number): void },
): Promise<Map<string, StepSummaries>> {
  const { kind, rounds, onRound } = options;
  const steps = runtimes.flatMap((runtime) => {
    const context = prepare(bench, runtime, kind);
    return [...(runtime.runs ? runSteps(context) : []), ...lifeSteps(context)];
  });
  steps.push(kernelStep(bench.rootfs, kind === "mounts" ? EXTRA_MOUNTS : 0));
  const times = await bench.driver.run(steps, rounds + WARM_UPS, (round) => onRound(round - WARM_UPS));
  return summariseSteps(times.filter(({ round }) => round >= WARM_UPS));
}

/** Exported for its test. */
export function summariseSteps(times: readonly StepTime[]): Map<string, StepSummaries> {
  const series = new Map<string, Map<string, number[]>>();
  const note = (runtime: string, name: string, round: number, milliseconds: number): void => {
    const ofRuntime = series.get(runtime) ?? new Map<string, number[]>();
    series.set(runtime, ofRuntime);
    const values = ofRuntime.get(name) ?? [];
    ofRuntime.set(name, values);
    values[round] = (values[round] ?? 0) + milliseconds;
  };
  for (const { step, round, milliseconds } of times) {
    if (step.name === undefined) continue;
    note(step.runtime, step.name, round, milliseconds);
    if (["create", "start", "delete"].includes(step.name)) note(step.runtime, "life", round, milliseconds);
  }
  const summariseAll = (ofRuntime: ReadonlyMap<string, number[]>): StepSummaries =>
    Object.fromEntries([...ofRuntime].map(([name, values]) => [name, summarise(Object.values(values))]));
  return new Map([...series].map(([runtime, ofRuntime]) => [runtime, summariseAll(ofRuntime)]));
}

/** @throws Error when a runtime cannot make a container, or not by `run` if that is what is asked */
export async function tryOut(bench: Bench, runtime: Runtime, by: "run" | "life"): Promise<void> {
  if (by === "life") {
    await bench.driver.run(lifeSteps(prepare(bench, runtime, "mounts")), WARM_UPS);
    return;
  }
  // Often, because youki's misses the end of a short program now and then, and waits for ever.
  await bench.driver.run(runSteps(prepare(bench, runtime, "true")), TRIALS);
}

/** Page faults of everything that a runtime has running, on average over `rounds`: of one `run`, and of create, start and delete. */
export async function measureFaults(
  bench: Bench,
  runtime: AbleRuntime,
  rounds: number,
): Promise<{ readonly run: number | undefined; readonly life: number }> {
  const context = prepare(bench, runtime, "true");
  const countOf = async (steps: readonly Step[]): Promise<number> => {
    await bench.driver.run(steps, WARM_UPS);
    await sleep(FLUSH_MS);
    const before = bench.cgroups.pageFaults(runtime.name);
    await bench.driver.run(steps, rounds);
    await sleep(FLUSH_MS);
    return (bench.cgroups.pageFaults(runtime.name) - before) / rounds;
  };
  const run = runtime.runs ? await countOf(runSteps(context)) : undefined;
  return { run, life: await countOf(lifeSteps(context)) };
}

/** So many containers one after the other, all of which stay; with conmon as engines start them, or alone. */
export async function measureAlive(
  bench: Bench,
  runtime: Runtime,
  options: { readonly containers: number; readonly conmon: string | undefined },
): Promise<Alive> {
  const { containers, conmon } = options;
  const name = `${runtime.name}${conmon === undefined ? "" : "+"}`;
  const context = prepare(bench, runtime, "true");
  // A server that is to stay is there before anything is weighed, as it is for the second container of a machine.
  await bench.driver.run(lifeSteps(context), WARM_UPS);
  const bundle = join(bench.directory, "alive", `${name}-`);
  for (let index = 0; index < containers; index++)
    createBundle({
      directory: `${bundle}${index}`,
      kind: "idle",
      rootfs: bench.rootfs,
      cgroupsPath: bench.cgroups.containerPath(runtime.name, `${name}-${index}`),
    });
  const before = availableKilobytes();
  const steps =
    conmon === undefined
      ? aliveSteps({ ...context, bundle })
      : monitoredSteps({ ...context, bundle }, conmon);
  const times = await bench.driver.run(steps, containers);
  const each: number[] = [];
  for (const { round, milliseconds } of times) each[round] = (each[round] ?? 0) + milliseconds;
  await sleep(FLUSH_MS);
  const { pss } = sumMemory(bench.cgroups.processes(runtime.name));
  return {
    containers,
    first: quantile(each.slice(0, EDGE), 0.5),
    last: quantile(each.slice(-EDGE), 0.5),
    pss: pss / containers,
    available: (before - availableKilobytes()) / containers,
  };
}

function prepare(bench: Bench, runtime: Runtime, kind: Kind): StepContext {
  const bundle = join(bench.directory, "bundles", `${runtime.name}-${kind}`);
  const cgroupsPath = bench.cgroups.containerPath(runtime.name, kind);
  createBundle({ directory: bundle, kind, rootfs: bench.rootfs, cgroupsPath });
  return {
    runtime,
    bundle,
    root: join(bench.directory, "runtime", runtime.name),
    cgroup: bench.cgroups.prepare(runtime.name),
  };
}

function availableKilobytes(): number {
  return Number(/^MemAvailable: +(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]);
}
