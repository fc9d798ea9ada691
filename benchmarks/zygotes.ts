import { globSync, readFileSync, rmSync } from "node:fs";

/**
 * Ends the zygotes whose files match, and the OCI servers that they have forked: one that a command line has started is in no
 * cgroup of ours.
 */
export function endZygotes(pidFiles: string): void {
  for (const file of globSync(pidFiles)) {
    const zygote = Number(readFileSync(file, "utf8"));
    for (const pid of [...childrenOf(zygote).filter(isServer), zygote]) process.kill(pid, "SIGKILL");
    rmSync(file);
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function isServer(pid: number): boolean {
  return readFileSync(`/proc/${pid}/comm`, "utf8") === "tandem-server\n";
}
