import {
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * The cgroups of one run. Everything that is started lives below one cgroup, so the kernel keeps the record of what there is to
 * count, to weigh and to clear away.
 *
 *     /tandem-bench-<pid>              in each hierarchy, because each container's cgroup has its parents in all of them
 *         driver                       this program, and what is started by the passes that count nothing
 *         <system>                     counted: page faults of the system
 *             shims                    its shims and its zygote
 *             <container>              made by the shim, from cgroupsPath
 */
export interface BenchCgroups {
  readonly path: string;
  /** Makes the cgroup of a system and returns the file that a process moves itself into it by, with "0". */
  prepare(system: string): string;
  containerPath(system: string, id: string): string;
  /** Page faults of every process that is or was in the system's cgroups. */
  pageFaults(system: string): number;
  processes(system: string): number[];
  /** Ends all processes of a system. */
  end(system: string): Promise<void>;
}

interface Layout {
  /** The hierarchy that counts memory. */
  readonly counting: string;
  readonly version: 1 | 2;
}

function findLayout(): Layout {
  if (existsSync("/sys/fs/cgroup/memory/memory.stat"))
    return { counting: "/sys/fs/cgroup/memory", version: 1 };
  const controllers = "/sys/fs/cgroup/cgroup.subtree_control";
  if (existsSync(controllers) && readFileSync(controllers, "utf8").split(/\s/).includes("memory"))
    return { counting: "/sys/fs/cgroup", version: 2 };
  throw new Error("no memory cgroup: neither /sys/fs/cgroup/memory nor a delegated memory controller");
}

/** @throws Error when there is no memory cgroup, or none can be made. */
export function openCgroups(name: string): BenchCgroups {
  const path = `/${name}`;
  const { counting, version } = findLayout();
  const directory = (system: string): string => join(counting, path, system);
  return {
    path,
    prepare(system) {
      const shims = join(directory(system), "shims");
      if (!existsSync(shims)) {
        mkdirSync(join(counting, path), { recursive: true });
        // Version 2 counts in a child only what its parent has enabled for children.
        if (version === 2) writeFileSync(join(counting, path, "cgroup.subtree_control"), "+memory");
        mkdirSync(shims, { recursive: true });
      }
      return join(shims, version === 1 ? "tasks" : "cgroup.procs");
    },
    containerPath: (system, id) => `${path}/${system}/${id}`,
    pageFaults(system) {
      // Both are of the whole subtree, cgroups that are gone included.
      const key = version === 1 ? "total_pgfault" : "pgfault";
      const stat = readFileSync(join(directory(system), "memory.stat"), "utf8");
      return Number(new RegExp(`^${key} (\\d+)$`, "m").exec(stat)?.[1] ?? Number.NaN);
    },
    processes: (system) => processesBelow(directory(system)),
    end: (system) => endAll([directory(system)]),
  };
}

function processesBelow(directory: string): number[] {
  return globSync(join(directory, "**/cgroup.procs")).flatMap((file) =>
    readIfThere(file).split("\n").filter(Boolean).map(Number),
  );
}

/** A runtime may just be removing what it made. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return "";
    throw error;
  }
}

/** Moves this process into a cgroup of the run's own; what it starts and does not count stays there, to be cleared away. */
export function enterCgroup(name: string): void {
  const { counting } = findLayout();
  const driver = join(counting, name, "driver");
  mkdirSync(driver, { recursive: true });
  writeFileSync(join(driver, "cgroup.procs"), "0");
}

/** Ends whatever is still in the cgroups of a run, in any hierarchy, and removes them. Returns what was still there. */
export async function clearCgroups(name: string): Promise<number[]> {
  const tops = [...globSync(`/sys/fs/cgroup/*/${name}`), ...globSync(`/sys/fs/cgroup/${name}`)];
  const left = new Set(tops.flatMap(processesBelow));
  await endAll(tops);
  for (const top of tops) removeTree(top);
  return [...left];
}

async function endAll(tops: readonly string[]): Promise<void> {
  for (const pid of tops.flatMap(processesBelow)) kill(pid);
  for (let attempt = 0; attempt < 500 && tops.flatMap(processesBelow).length > 0; attempt++) await sleep(20);
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Only directories can be removed from a cgroup file system, the innermost first. */
function removeTree(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(directory, entry.name));
  rmdirSync(directory);
}
