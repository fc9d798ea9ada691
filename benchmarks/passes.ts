import { Listr, type ListrTask } from "listr2";
import { measureColdStarts } from "./measure/cold-starts.ts";
import { measureIdleMemory } from "./measure/idle-memory.ts";
import { measureParts } from "./measure/micro.ts";
import { measurePageFaults } from "./measure/page-faults.ts";
import { measureThroughput } from "./measure/throughput.ts";
import { type MicroResult, type Results, type SystemResults, summariseTimes } from "./report/tables.ts";
import type { Absent, System } from "./systems.ts";
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

type Measured = { -readonly [Key in keyof SystemResults]: SystemResults[Key] };

/** Runs the passes one after the other, shows where it is, and gathers what they find. */
export async function runPasses(
  workspace: Workspace,
  systems: readonly System[],
  options: PassOptions,
): Promise<Omit<Results, "machine">> {
  const measured = new Map<string, Measured>(
    systems.map(({ name, description }) => [name, { name, description }]),
  );
  const missing: Absent[] = [];
  const micro: MicroResult[] = [];
  const warm = systems.filter((system) => !system.cold);
  const cold = systems.filter((system) => system.cold);

  const timesOf = (title: string, group: readonly System[], rounds: number): ListrTask => ({
    title: `${title}: ${names(group)}`,
    enabled: () => options.passes.has("times") && group.length > 0,
    async task(_context, task) {
      const { times, failures } = await measureColdStarts(workspace, group, {
        rounds,
        warmUps: 2,
        ageMs: options.ageMs,
        onRound: (round) => showProgress(task, `round ${round + 1} of ${rounds}`),
      });
      for (const [name, series] of times) set(measured, name, { times: summariseTimes(series) });
      for (const [name, error] of failures) missing.push({ name, reason: error.message });
    },
  });
  const eachOf = (
    pass: string,
    title: string,
    measure: (system: System) => Promise<Partial<Measured>>,
  ): ListrTask => ({
    title,
    enabled: () => options.passes.has(pass),
    async task(_context, task) {
      for (const system of warm) {
        if (missing.some(({ name }) => name === system.name)) continue;
        showProgress(task, system.name);
        try {
          set(measured, system.name, await measure(system));
        } catch (error) {
          missing.push({ name: `${system.name}, ${pass}`, reason: String(error) });
        }
      }
    },
  });

  await new Listr(
    [
      timesOf(`cold starts, ${options.rounds} rounds`, warm, options.rounds),
      timesOf("the same without a zygote", cold, Math.max(3, Math.ceil(options.rounds / 5))),
      eachOf("throughput", `${options.tasks} containers, ${AT_ONCE} at once`, async (system) => ({
        tasksPerSecond: await measureThroughput(workspace, system, { tasks: options.tasks, atOnce: AT_ONCE }),
      })),
      eachOf("faults", `page faults, ${FAULT_ROUNDS} cold starts`, async (system) => {
        workspace.endZygotes();
        return {
          pageFaults: await measurePageFaults(workspace, system, {
            rounds: FAULT_ROUNDS,
            ageMs: options.ageMs,
          }),
        };
      }),
      eachOf("memory", `memory of ${options.pods} idle pods`, async (system) => {
        workspace.endZygotes();
        return { idle: await measureIdleMemory(workspace, system, options.pods) };
      }),
      {
        title: "parts on their own",
        enabled: () => options.passes.has("parts"),
        task: async () => {
          micro.push(...(await measureParts(options.lib, options.directory)));
        },
      },
    ],
    { concurrent: false, renderer: options.quiet ? "silent" : "default", fallbackRenderer: "simple" },
  ).run();
  return { systems: [...measured.values()], micro, missing };
}

function names(systems: readonly System[]): string {
  return systems.map(({ name }) => name).join(", ");
}

/** Only where a line can be written over: a log has the titles. */
function showProgress(task: { output: string }, text: string): void {
  if (process.stdout.isTTY) task.output = text;
}

function set(measured: Map<string, Measured>, name: string, values: Partial<Measured>): void {
  Object.assign(measured.get(name) ?? {}, values);
}
