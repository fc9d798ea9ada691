import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BenchedContainer } from "../container/lifecycle.ts";
import type { System } from "../systems.ts";
import type { Workspace } from "../workspace.ts";

/** Kilobytes, over every process of the system. */
export interface Memory {
  readonly pss: number;
  readonly privateDirty: number;
}

export interface IdleMemory {
  readonly pods: number;
  /** Per pod; the zygote, where there is one, is shared out among them. */
  readonly each: Memory;
  /** Of the zygote and whatever else is there without any pod. */
  readonly base: Memory;
}

/**
 * Memory of so many pods of one idle container each, by smaps_rollup of every process in the system's cgroups: PSS counts a page
 * that is shared among n processes as an nth in each.
 */
export async function measureIdleMemory(
  workspace: Workspace,
  system: System,
  pods: number,
): Promise<IdleMemory> {
  const containers: BenchedContainer[] = [];
  const weigh = (): Memory => sumMemory(workspace.cgroups.processes(system.name));
  try {
    // The first brings the zygote up; it goes again before anything is weighed.
    await endAll([await startIdle(workspace, system)]);
    const base = weigh();
    for (let pod = 0; pod < pods; pod++) containers.push(await startIdle(workspace, system));
    await sleep(1000);
    const { pss, privateDirty } = weigh();
    return { pods, base, each: { pss: pss / pods, privateDirty: privateDirty / pods } };
  } finally {
    await endAll(containers);
  }
}

async function startIdle(workspace: Workspace, system: System): Promise<BenchedContainer> {
  const container = new BenchedContainer(workspace.container({ system, behaviour: "idle", counted: true }));
  await container.startShim();
  await container.create();
  await container.start();
  return container;
}

async function endAll(containers: readonly BenchedContainer[]): Promise<void> {
  for (const container of containers) {
    const exited = container.wait();
    await container.kill();
    await exited;
    await container.delete();
    await container.deleteShim();
    await container[Symbol.asyncDispose]();
  }
}

/** Memory of these processes together. */
export function sumMemory(pids: readonly number[]): Memory {
  const rollups = pids.map((pid) => readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  const sum = (key: string): number =>
    rollups.reduce(
      (total, rollup) => total + Number(new RegExp(`^${key}: +(\\d+) kB$`, "m").exec(rollup)?.[1] ?? 0),
      0,
    );
  return { pss: sum("Pss"), privateDirty: sum("Private_Dirty") };
}
