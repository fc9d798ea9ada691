import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

/** Fields of /proc/<pid>/status. */
export function statusOf(pid: number): Readonly<Record<string, string>> {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/:\s+/, 2) as [string, string]));
}

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^[ZX]/.test(statusOf(pid)["State"] ?? "X");
}

export function parentOf(pid: number): number {
  return Number(statusOf(pid)["PPid"]);
}

export function namespaceOf(pid: number | "self", type: string): string {
  return readlinkSync(`/proc/${pid}/ns/${type}`);
}

/** Clock ticks that the process has used. */
export function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** A file of the process's cgroup in one controller: v1's name or v2's, as the machine has it. */
export function readCgroupFile(pid: number, controller: string, v1: string, v2: string): string {
  for (const line of readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n")) {
    const [, names = "", path = ""] = line.split(":");
    if (names.split(",").includes(controller)) {
      return readFileSync(join("/sys/fs/cgroup", controller, path, v1), "utf8").trim();
    }
    const unified = join("/sys/fs/cgroup", path, v2);
    if (names === "" && existsSync(unified)) return readFileSync(unified, "utf8").trim();
  }
  throw new Error(`process ${pid}: no cgroup with ${controller}`);
}

/** Names of the processes that have this string in their command line or environment. */
export function processesNaming(text: string, name: RegExp): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && mentions(pid, text, name));
}

function mentions(pid: number, text: string, name: RegExp): boolean {
  try {
    if (!name.test(readFileSync(`/proc/${pid}/comm`, "latin1").trim())) return false;
    const both = ["cmdline", "environ"]
      .map((file) => readFileSync(`/proc/${pid}/${file}`, "latin1"))
      .join("\0");
    return both.includes(text);
  } catch (error) {
    // It ended while it was looked at.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
