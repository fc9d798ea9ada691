import type { LinuxResources } from "../../bundle/resources.ts";
import { TandemError } from "../../errors.ts";
import { native } from "../../native.ts";
import { SIGKILL } from "../../signals.ts";
import type { Cgroup, CgroupEntrance, RemoveOptions, SystemdUnit } from "../cgroup.ts";
import type { IntelRdt } from "../intel-rdt.ts";
import { applyResources } from "./apply.ts";
import { checkResources } from "./check-resources.ts";
import { applyDevices } from "./devices.ts";
import { freeze, isFrozen, thaw } from "./freezer.ts";
import { oomKills, watchOom } from "./oom.ts";
import type { CgroupPaths } from "./paths.ts";
import { isGone, pidsIn, signalAll, sleep, subtree } from "./processes.ts";
import { type CgroupStats, cgroupStats } from "./stats.ts";
import { cgroupUsage, type Usage } from "./usage.ts";

const removalPatienceMs = 5000;

/** A cgroup that nobody but us looks after. */
export class KernelCgroup implements Cgroup {
  readonly dirs: readonly string[];
  readonly unit: SystemdUnit | undefined = undefined;
  readonly #paths: CgroupPaths;
  readonly #rdt: IntelRdt | undefined;

  constructor(paths: CgroupPaths, rdt?: IntelRdt) {
    this.#paths = paths;
    this.#rdt = rdt;
    this.dirs = [...paths.all, ...(rdt?.ownDirs ?? [])];
  }

  settle(): void {
    // An empty directory stays.
  }

  procPaths(): readonly string[] {
    return this.#paths.all.map((directory) => `${directory}/cgroup.procs`);
  }

  entrance(): CgroupEntrance {
    const { unified } = this.#paths;
    const directories = this.#paths.all.filter((directory) => directory !== unified);
    return {
      taskFiles: [...directories.map((directory) => `${directory}/tasks`), ...(this.#rdt?.taskFiles ?? [])],
      unified,
      unifiedLimits: directories.length === 0,
    };
  }

  add(pid: number): void {
    const files = [...this.procPaths(), ...(this.#rdt?.taskFiles ?? [])];
    native.writeFiles(files.flatMap((path) => [path, String(pid)]));
  }

  pids(): number[] {
    // Every hierarchy knows the same processes; the freezer's is not one that a container can leave by moving itself
    // into a sub-cgroup it was given.
    const directory = this.#paths.v1.get("freezer") ?? this.#paths.unified ?? this.dirs[0];
    return directory === undefined ? [] : pidsIn(directory);
  }

  freeze(): void {
    freeze(this.#paths);
  }

  thaw(): void {
    try {
      thaw(this.#paths);
    } catch (error) {
      // Gone: nothing in it is frozen.
      if (!isGone(error)) throw error;
    }
  }

  isFrozen(): boolean {
    return isFrozen(this.#paths);
  }

  kill(signal: number): void {
    if (signal !== SIGKILL) {
      signalAll(this.pids(), signal);
      return;
    }
    if (this.#paths.unified !== undefined) this.#killUnified(this.#paths.unified);
    // What stands still cannot fork away from the signal; it dies when it is thawed.
    for (let pids = this.pids(), round = 0; pids.length > 0 && round < 100; pids = this.pids(), round++) {
      signalAll(pids, SIGKILL);
      this.thaw();
      sleep(Math.min(round, 10));
    }
    this.thaw();
  }

  update(given: LinuxResources): void {
    const resources = checkResources(given);
    if (resources.devices !== undefined) applyDevices(this.#paths, resources.devices, { isNew: false });
    applyResources(this.#paths, resources);
  }

  stats(): CgroupStats {
    return cgroupStats(this.#paths);
  }

  usage(): Usage {
    return cgroupUsage(this.#paths);
  }

  oomKills(): number {
    return oomKills(this.#paths);
  }

  watchOom(callback: () => void): () => void {
    return watchOom(this.#paths, callback);
  }

  remove({ kill }: RemoveOptions = { kill: false }): void | Promise<void> {
    // The usual case is one call: no process, no children. The kernel removes nothing that has either.
    const busy = native.removeCgroups(this.dirs);
    if (busy.length === 0) return;
    if (kill && this.pids().length > 0) this.kill(SIGKILL);
    return removeBusy(busy);
  }

  /** cgroup.kill is one write and misses no fork (Linux 5.14). */
  #killUnified(directory: string): void {
    try {
      native.writeFiles([`${directory}/cgroup.kill`, "1"]);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
}

async function removeBusy(directories: readonly string[]): Promise<void> {
  const deadline = Date.now() + removalPatienceMs;
  let busy = directories;
  for (let wait = 1; ; wait = Math.min(wait * 2, 100)) {
    // Children first: a container may have made cgroups of its own.
    busy = native.removeCgroups(busy.flatMap((directory) => subtree(directory).reverse()));
    if (busy.length === 0) return;
    if (Date.now() > deadline) break;
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  const pids = [...new Set(busy.flatMap((directory) => pidsIn(directory)))];
  throw new TandemError(
    "failed_precondition",
    `cgroup ${busy.join(", ")}: in use by ${pids.join(", ") || "dying processes"}`,
  );
}
