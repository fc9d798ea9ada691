import { existsSync } from "node:fs";
import { TandemError } from "../../errors.ts";
import { whyAbsent } from "./delegated.ts";
import type { CgroupPaths } from "./paths.ts";
import { statsV1 } from "./stats-v1.ts";
import { statsV2 } from "./stats-v2.ts";

/** An encoded metrics message of containerd's, as the `Any` of a Stats response wants it. */
export interface CgroupStats {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/**
 * One directory of a cgroup whose figures are asked for.
 *
 * @throws TandemError not_found for a cgroup that is gone, failed_precondition where there never was one: zeros would look like an
 * idle container.
 */
export function existingDirectory({ all: [first] }: CgroupPaths): string {
  if (first === undefined)
    throw new TandemError("failed_precondition", `no figures, the container has no cgroup: ${whyAbsent()}`);
  if (!existsSync(first)) throw new TandemError("not_found", `cgroup ${first}: not found`);
  return first;
}

/** @throws TandemError as `existingDirectory` */
export function cgroupStats(paths: CgroupPaths): CgroupStats {
  const first = existingDirectory(paths);
  if (paths.v1.size > 0) return { typeUrl: "io.containerd.cgroups.v1.Metrics", value: statsV1(paths) };
  return { typeUrl: "io.containerd.cgroups.v2.Metrics", value: statsV2(paths.unified ?? first) };
}
