import type { CgroupPaths } from "./paths.ts";
import { existingDirectory } from "./stats.ts";
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
 * @throws TandemError as `existingDirectory`
 */
export function cgroupUsage(paths: CgroupPaths): Usage {
  const first = existingDirectory(paths);
  return paths.v1.size > 0 ? usageV1(paths) : usageV2(paths.unified ?? first);
}
