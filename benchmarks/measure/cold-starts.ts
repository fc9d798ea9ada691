import { setTimeout as sleep } from "node:timers/promises";
import { coldStart, type Times } from "../container/lifecycle.ts";
import type { System } from "../systems.ts";
import type { Workspace } from "../workspace.ts";

export interface ColdStartOptions {
  readonly rounds: number;
  /** Not counted: they start the zygote, fill caches and compile the driver's own code. */
  readonly warmUps: number;
  /** How long the zygote is left alone after them: one that has been up for minutes must fork as well as a new one. */
  readonly ageMs: number;
  onRound(round: number): void;
}

export interface ColdStarts {
  readonly times: ReadonlyMap<string, readonly Times[]>;
  /** The first failure of each system that failed. */
  readonly failures: ReadonlyMap<string, Error>;
}

/**
 * One container of each system after the other, round after round: what disturbs the machine for a while disturbs all of them. A
 * system that fails is left out from then on.
 */
export async function measureColdStarts(
  workspace: Workspace,
  systems: readonly System[],
  options: ColdStartOptions,
): Promise<ColdStarts> {
  const times = new Map<string, Times[]>();
  const failures = new Map<string, Error>();
  for (let round = -options.warmUps; round < options.rounds; round++) {
    options.onRound(round);
    if (round === 0) await sleep(options.ageMs);
    for (const system of systems) {
      if (failures.has(system.name)) continue;
      try {
        const measured = await coldStart(workspace.container({ system, behaviour: "print" }));
        if (round >= 0) times.set(system.name, [...(times.get(system.name) ?? []), measured]);
      } catch (error) {
        failures.set(system.name, error instanceof Error ? error : new Error(String(error)));
      }
    }
  }
  return { times, failures };
}
