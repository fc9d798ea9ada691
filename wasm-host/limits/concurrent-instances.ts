import type { Limits } from "../grant.ts";
import { limitReached } from "./limit-reached.ts";

/**
 * How many instances of a component there may be at once, when each has so many of core modules; undefined: any number.
 * @throws LimitReached when there may not even be one
 */
export function concurrentInstances({ instances }: Limits, modules: number): number | undefined {
  if (instances === undefined) return undefined;
  if (instances < modules)
    throw limitReached("instances", `the component has ${modules} core modules, ${instances} may be`);
  return Math.floor(instances / Math.max(modules, 1));
}
