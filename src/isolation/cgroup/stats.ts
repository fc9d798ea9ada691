import { existsSync } from "node:fs";
import { TandemError } from "../../errors.ts";
import type { CgroupPaths } from "./paths.ts";
import { statsV1 } from "./stats-v1.ts";
import { statsV2 } from "./stats-v2.ts";

/** An encoded metrics message of containerd's, as the `Any` of a Stats response wants it. */
export interface CgroupStats {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** @throws TandemError not_found for a cgroup that is gone: zeros would look like an idle container. */
export function cgroupStats(paths: CgroupPaths): CgroupStats {
  const [first] = paths.all;
  if (first === undefined || !existsSync(first))
    throw new TandemError("not_found", `cgroup ${first}: not found`);
  if (paths.v1.size > 0) return { typeUrl: "io.containerd.cgroups.v1.Metrics", value: statsV1(paths) };
  return { typeUrl: "io.containerd.cgroups.v2.Metrics", value: statsV2(paths.unified ?? first) };
}
