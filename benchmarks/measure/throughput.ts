import { coldStart } from "../container/lifecycle.ts";
import type { System } from "../systems.ts";
import type { Workspace } from "../workspace.ts";

export interface ThroughputOptions {
  readonly tasks: number;
  readonly atOnce: number;
}

/** Containers per second, from nothing to nothing, with so many under way at any time. */
export async function measureThroughput(
  workspace: Workspace,
  system: System,
  options: ThroughputOptions,
): Promise<number> {
  const once = () => coldStart(workspace.container({ system, behaviour: "print" }));
  await once();
  let left = options.tasks;
  const begin = performance.now();
  const work = async (): Promise<void> => {
    while (left-- > 0) await once();
  };
  await Promise.all(Array.from({ length: options.atOnce }, work));
  return options.tasks / ((performance.now() - begin) / 1000);
}
