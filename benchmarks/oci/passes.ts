import { existsSync } from "node:fs";
import { PassList } from "../pass-list.ts";
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

/** Runs the passes one after the other, shows where it is, and gathers what they find. */
export async function runPasses(
  bench: Bench,
  found: readonly Runtime[],
  options: PassOptions,
): Promise<Omit<OciResults, "machine">> {
  const { rounds, containers, passes } = options;
  const kernel: RuntimeResults = {
    name: "kernel",
    description: "the same container by bare system calls",
  };
  const list = new PassList<RuntimeResults>(
    passes,
    [...found, kernel].map(({ name, description }) => ({ name, description })),
  );
  const runtimes = await usable(bench, found, list.missing);
  const addTimes = (pass: string, key: "plain" | "mounts", kind: "true" | "mounts"): void => {
    const names = runtimes.map(({ name }) => name).join(", ");
    list.add(pass, `${pass}, ${rounds} rounds: ${names}`, async (showProgress) => {
      const onRound = (round: number): void => showProgress(`round ${round + 1} of ${rounds}`);
      const times = await measureTimes(bench, runtimes, { kind, rounds, onRound });
      for (const [name, summaries] of times) list.note(name, { [key]: summaries });
    });
  };
  const alive = async (runtime: Runtime): Promise<Partial<RuntimeResults>> => {
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

  addTimes("times", "plain", "true");
  addTimes("mounts", "mounts", "mounts");
  list.addEach("faults", `page faults, ${FAULT_ROUNDS} containers`, runtimes, async (runtime) => ({
    faults: await measureFaults(bench, runtime, FAULT_ROUNDS),
  }));
  list.addEach("alive", `${containers} containers alive`, runtimes, alive);
  await list.run(options);
  return { runtimes: list.found, missing: list.missing };
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
