import { existsSync } from "node:fs";
import { Listr, type ListrTask } from "listr2";
import type { Absent } from "../systems.ts";
import {
  type AbleRuntime,
  type Alive,
  type Bench,
  measureAlive,
  measureFaults,
  measureTimes,
  tryOut,
} from "./measure.ts";
import type { OciResults, RuntimeResults } from "./report.ts";
import type { Runtime } from "./runtimes.ts";

export const passNames = ["times", "mounts", "faults", "alive"] as const;

export interface PassOptions {
  readonly rounds: number;
  readonly containers: number;
  readonly passes: ReadonlySet<string>;
  readonly quiet: boolean;
}

const FAULT_ROUNDS = 10;
const CONMON = "/usr/bin/conmon";

type Measured = { -readonly [Key in keyof RuntimeResults]: RuntimeResults[Key] };

/** Runs the passes one after the other, shows where it is, and gathers what they find. */
export async function runPasses(
  bench: Bench,
  found: readonly Runtime[],
  options: PassOptions,
): Promise<Omit<OciResults, "machine">> {
  const { rounds, containers, passes } = options;
  const missing: Absent[] = [];
  const kernel: Measured = { name: "kernel", description: "the same container by bare system calls" };
  const measured = new Map<string, Measured>(
    [...found, kernel].map(({ name, description }) => [name, { name, description }]),
  );
  const runtimes = await usable(bench, found, missing);
  const note = (name: string, values: Partial<Measured>): void => {
    Object.assign(measured.get(name) ?? {}, values);
  };
  const timesOf = (pass: string, key: "plain" | "mounts", kind: "true" | "mounts"): ListrTask => ({
    title: `${pass}, ${rounds} rounds: ${runtimes.map(({ name }) => name).join(", ")}`,
    enabled: () => passes.has(pass),
    async task(_context, task) {
      const onRound = (round: number): void => {
        if (process.stdout.isTTY) task.output = `round ${round + 1} of ${rounds}`;
      };
      const times = await measureTimes(bench, runtimes, { kind, rounds, onRound });
      for (const [name, summaries] of times) note(name, { [key]: summaries });
    },
  });
  const eachOf = (
    pass: string,
    title: string,
    measure: (runtime: AbleRuntime) => Promise<Partial<Measured>>,
  ): ListrTask => ({
    title,
    enabled: () => passes.has(pass),
    async task(_context, task) {
      for (const runtime of runtimes) {
        if (process.stdout.isTTY) task.output = runtime.name;
        try {
          note(runtime.name, await measure(runtime));
        } catch (error) {
          missing.push({ name: `${runtime.name}, ${pass}`, reason: String(error) });
        }
      }
    },
  });
  const alive = async (runtime: Runtime): Promise<Partial<Measured>> => {
    const measureOne = async (conmon: string | undefined): Promise<Alive> => {
      try {
        return await measureAlive(bench, runtime, { containers, conmon });
      } finally {
        await bench.cgroups.end(runtime.name);
      }
    };
    const monitored = existsSync(CONMON) ? { monitored: await measureOne(CONMON) } : {};
    return { ...monitored, alive: await measureOne(undefined) };
  };
  await new Listr(
    [
      timesOf("times", "plain", "true"),
      timesOf("mounts", "mounts", "mounts"),
      eachOf("faults", `page faults, ${FAULT_ROUNDS} containers`, async (runtime) => ({
        faults: await measureFaults(bench, runtime, FAULT_ROUNDS),
      })),
      eachOf("alive", `${containers} containers alive`, alive),
    ],
    { concurrent: false, renderer: options.quiet ? "silent" : "default", fallbackRenderer: "simple" },
  ).run();
  return { runtimes: [...measured.values()], missing };
}

/** Those that can make a container at all; one that cannot would stop the turns of the others. */
async function usable(bench: Bench, runtimes: readonly Runtime[], missing: Absent[]): Promise<AbleRuntime[]> {
  const can = async (runtime: Runtime, by: "run" | "life"): Promise<boolean> => {
    try {
      await tryOut(bench, runtime, by);
      return true;
    } catch (error) {
      missing.push({ name: `${runtime.name}${by === "run" ? ", run" : ""}`, reason: String(error) });
      return false;
    }
  };
  const able: AbleRuntime[] = [];
  for (const runtime of runtimes)
    if (await can(runtime, "life")) able.push({ ...runtime, runs: await can(runtime, "run") });
  return able;
}
