import { lstatSync, statfsSync } from "node:fs";
import { dirname, normalize } from "node:path";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { isGone, pidsIn } from "./processes.ts";

/** linux/magic.h: cgroup v1, cgroup v2, resctrl. */
const cgroupFilesystems = new Set([0x27e0eb, 0x63677270, 0x7655821]);

/**
 * Looks at directories that a damaged record names, before what is in them is killed and they are removed: each must be a cgroup below a
 * hierarchy's root, and this process outside of it. One that is not there is fine.
 *
 * @throws TandemError failed_precondition naming the directory
 */
export function requireContainersOwn(directories: readonly string[]): void {
  for (const directory of directories) {
    const reason = whyNot(directory);
    if (reason !== undefined)
      throw new TandemError("failed_precondition", `${directory}: ${reason}: it is left as it is`);
  }
}

function whyNot(directory: string): string | undefined {
  if (normalize(directory) !== directory || directory.endsWith("/")) return "not the path of a cgroup";
  try {
    const own = lstatSync(directory);
    if (!own.isDirectory() || !cgroupFilesystems.has(statfsSync(directory).type)) return "no cgroup";
    // What holds the root of a hierarchy is on another file system.
    if (lstatSync(dirname(directory)).dev !== own.dev) return "a hierarchy's root";
    return pidsIn(directory).includes(native.getpid()) ? "a cgroup that holds this process" : undefined;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}
