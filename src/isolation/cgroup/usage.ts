import { existsSync } from "node:fs";
import { TandemError } from "../../errors.ts";
import type { CgroupPaths } from "./paths.ts";
import { usageV1 } from "./usage-v1.ts";
import { usageV2 } from "./usage-v2.ts";

/** Numbers are the kernel's, up to 2^64 - 1; those that are averages are doubles. */
export type UsageValue = bigint | number | string | readonly UsageValue[] | Usage;
export interface Usage {
  readonly [key: string]: UsageValue;
}

/**
 * What a cgroup uses, by the names that `runc events` prints, which are the same for both versions of cgroups.
 *
 * @throws TandemError not_found for a cgroup that is gone: zeros would look like an idle container.
 */
export function cgroupUsage(paths: CgroupPaths): Usage {
  const [first] = paths.all;
  if (first === undefined || !existsSync(first))
    throw new TandemError("not_found", `cgroup ${first}: not found`);
  return paths.v1.size > 0 ? usageV1(paths) : usageV2(paths.unified ?? first);
}
