import { TandemError } from "../../errors.ts";
import type { CgroupPaths } from "./paths.ts";

/** An encoded metrics message of containerd's. */
export interface CgroupStats {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}
export function cgroupStats(paths: CgroupPaths): CgroupStats {
  throw new TandemError("not_found", `cgroup ${paths.all[0]}: no stats`);
}
