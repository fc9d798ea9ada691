import { setTimeout as sleep } from "node:timers/promises";
import { coldStart } from "../container/lifecycle.ts";
import type { System } from "../systems.ts";
import type { Workspace } from "../workspace.ts";

/** The kernel adds a CPU's counts to the cgroup's every two seconds, or when somebody reads after enough of them. */
const FLUSH_MS = 2_100;

/**
 * Page faults of one cold start, from the exec of `start` to the end of `delete`, on average over `rounds`: of every process that the
 * system has or had meanwhile, the launcher, the zygote, shims, runtimes and the container's own program included. The kernel
 * counts them in the memory cgroup in which all of these are; the driver is outside of it.
 */
export async function measurePageFaults(
  workspace: Workspace,
  system: System,
  options: { readonly rounds: number; readonly ageMs: number },
): Promise<number> {
  const { rounds, ageMs } = options;
  const once = () => coldStart(workspace.container({ system, behaviour: "print", counted: true }));
  // The zygote's start and the first use of everything belong to no container.
  for (let warmUp = 0; warmUp < 2; warmUp++) await once();
  await sleep(Math.max(FLUSH_MS, ageMs));
  const before = workspace.cgroups.pageFaults(system.name);
  for (let round = 0; round < rounds; round++) await once();
  await sleep(FLUSH_MS);
  return (workspace.cgroups.pageFaults(system.name) - before) / rounds;
}
