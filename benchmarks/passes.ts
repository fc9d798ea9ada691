import { measureColdStarts } from "./measure/cold-starts.ts";
import { measureIdleMemory } from "./measure/idle-memory.ts";
import { measureParts } from "./measure/micro.ts";
import { measurePageFaults } from "./measure/page-faults.ts";
import { measureThroughput } from "./measure/throughput.ts";
import { PassList } from "./pass-list.ts";
import { type MicroResult, type Results, type SystemResults, summariseTimes } from "./report/tables.ts";
import type { System } from "./systems.ts";
import type { Workspace } from "./workspace.ts";

export interface PassOptions {
  readonly rounds: number;
  readonly pods: number;
  readonly tasks: number;
  /** Milliseconds that zygotes are left alone before they are measured. */
  readonly ageMs: number;
  /** Names of passes to run: times, throughput, faults, memory, parts. */
  readonly passes: ReadonlySet<string>;
  readonly quiet: boolean;
  readonly lib: string;
  readonly directory: string;
}

export const passNames = ["times", "throughput", "faults", "memory", "parts"] as const;

const AT_ONCE = 8;
const FAULT_ROUNDS = 10;

/** Runs the passes one after the other, shows where it is, and gathers what they find. */
export async function runPasses(
  workspace: Workspace,
  systems: readonly System[],
  options: PassOptions,
): Promise<Omit<Results, "machine">> {
  const list = new PassList<SystemResults>(
    options.passes,
    systems.map(({ name, description }) => ({ name, description })),
  );
  const micro: MicroResult[] = [];
  const warm = systems.filter((system) => !system.cold);
  const cold = systems.filter((system) => system.cold);

  const addTimes = (title: string, group: readonly System[], rounds: number): void => {
    if (group.length === 0) return;
    list.add("times", `${title}: ${names(group)}`, async (showProgress) => {
      const { times, failures } = await measureColdStarts(workspace, group, {
        rounds,
        warmUps: 2,
        ageMs: options.ageMs,
        onRound: (round) => showProgress(`round ${round + 1} of ${rounds}`),
      });
      for (const [name, series] of times) list.note(name, { times: summariseTimes(series) });
      for (const [name, error] of failures) list.missing.push({ name, reason: error.message });
    });
  };

  addTimes(`cold starts, ${options.rounds} rounds`, warm, options.rounds);
  addTimes("the same without a zygote", cold, Math.max(3, Math.ceil(options.rounds / 5)));
  list.addEach("throughput", `${options.tasks} containers, ${AT_ONCE} at once`, warm, async (system) => ({
    tasksPerSecond: await measureThroughput(workspace, system, { tasks: options.tasks, atOnce: AT_ONCE }),
  }));
  list.addEach("faults", `page faults, ${FAULT_ROUNDS} cold starts`, warm, async (system) => {
    workspace.endZygotes();
    const { ageMs } = options;
    return { pageFaults: await measurePageFaults(workspace, system, { rounds: FAULT_ROUNDS, ageMs }) };
  });
  list.addEach("memory", `memory of ${options.pods} idle pods`, warm, async (system) => {
    workspace.endZygotes();
    return { idle: await measureIdleMemory(workspace, system, options.pods) };
  });
  list.add("parts", "parts on their own", async () => {
    micro.push(...(await measureParts(options.lib, options.directory)));
  });
  await list.run(options);
  return { systems: list.found, micro, missing: list.missing };
}

function names(systems: readonly System[]): string {
  return systems.map(({ name }) => name).join(", ");
}
