import { readFileSync } from "node:fs";
import { native } from "../native.ts";

/**
 * Without a pid namespace of its own, a container's daemonised processes become the shim's children when their parent ends
 * (PR_SET_CHILD_SUBREAPER) and would stay zombies. They are told from children that somebody waits for (inits, execs, hooks,
 * logging drivers) by their cgroup: only a container's own processes are in it, and those have been reaped by pidfd.
 *
 * @param isAwaited whether somebody waits for this pid
 * @param cgroups the cgroup directories of the containers, any of each
 */
export function reapOrphans(options: {
  isAwaited(pid: number): boolean;
  cgroups(): readonly string[];
}): void {
  process.on("SIGCHLD", () => {
    for (let pid = native.peekDeadChild(); pid !== undefined; pid = native.peekDeadChild()) {
      if (options.isAwaited(pid) || !isIn(pid, options.cgroups())) break;
      native.reapOrphan(pid);
    }
    // One that is awaited hides those behind it until it has been reaped; each brings a signal of its own.
  });
}

function isIn(pid: number, cgroups: readonly string[]): boolean {
  const membership = readFileSync(`/proc/${pid}/cgroup`, "latin1");
  const paths = membership.split("\n").map((line) => line.split(":")[2] ?? "");
  return paths.some((path) => path.length > 1 && cgroups.some((directory) => directory.endsWith(path)));
}
