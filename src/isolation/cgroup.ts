import { readFileSync } from "node:fs";
import type { LinuxResources } from "../bundle/resources.ts";
import type { SpecIntelRdt } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { ownRights } from "../rights.ts";
import { applyResources } from "./cgroup/apply.ts";
import { checkResources } from "./cgroup/check-resources.ts";
import { type Made, makeDelegated } from "./cgroup/delegated.ts";
import { applyDevices } from "./cgroup/devices.ts";
import { KernelCgroup } from "./cgroup/kernel-cgroup.ts";
import { type CgroupLayout, cgroupLayout } from "./cgroup/layout.ts";
import { type CgroupPaths, cgroupPaths, cgroupPathsOf } from "./cgroup/paths.ts";
import { pidsIn } from "./cgroup/processes.ts";
import type { CgroupStats } from "./cgroup/stats.ts";
import type { Usage } from "./cgroup/usage.ts";
import { enableControllers } from "./cgroup/v2-controllers.ts";
import { type IntelRdt, openIntelRdt, rdtTaskFiles, resctrlMount } from "./intel-rdt.ts";

/** What `openCgroup` needs to know of a container. */
export interface CgroupRequest {
  /** `linux.cgroupsPath`; undefined: `/<namespace>/<id>`. */
  readonly cgroupsPath: string | undefined;
  readonly namespace: string;
  readonly id: string;
  /** With the membership of whose cgroup a relative path is below, if not this process's own. */
  readonly member?: CgroupLayout;
  /** Without any cgroup: the container stays where its maker is. */
  readonly none?: boolean;
  /** `linux.resources`. */
  readonly resources: LinuxResources | undefined;
  /** `linux.intelRdt`: its groups are joined, recorded and removed as those of any other hierarchy. */
  readonly intelRdt?: SpecIntelRdt | undefined;
  /** Where resctrl is, if not where this machine has it mounted. */
  readonly resctrl?: string;
}

/** A scope, and where the systemd that has it is spoken to. */
export interface SystemdUnit {
  readonly name: string;
  readonly addresses: readonly { readonly path: string; readonly direct: boolean }[];
}

/**
 * A container's cgroup: one directory in every mounted hierarchy (v1, v2 or both). Everything is synchronous, because it
 * runs in forked children where the kernel's answer takes microseconds; systemd's takes longer, so with its driver what it must
 * hear of returns a promise.
 */
export interface Cgroup {
  /** Absolute paths of its directories; enough for `loadCgroup` and for the launcher's `delete`. */
  readonly dirs: readonly string[];
  /** With the systemd driver; `loadScope` needs it beside `dirs`. */
  readonly unit: SystemdUnit | undefined;
  /** The container's first process is in it: what kept an empty scope alive may go. Safe to repeat. */
  settle(): void | Promise<void>;
  /** The files into which a process writes "0" to join. */
  procPaths(): readonly string[];
  /** How a process with one thread gets in without waiting for the kernel's lock on its thread group. */
  entrance(): CgroupEntrance;
  add(pid: number): void | Promise<void>;
  /** Every process in it and below it, as our pid namespace numbers them. */
  pids(): number[];
  /** @throws TandemError deadline_exceeded when a process hangs in the kernel; then nothing is frozen. */
  freeze(): void;
  thaw(): void;
  isFrozen(): boolean;
  /** Signals every process. SIGKILL misses none, not even those that fork meanwhile, and thaws. */
  kill(signal: number): void;
  /** Changes what `resources` gives and leaves the rest. @throws TandemError invalid_argument naming the property. */
  update(resources: LinuxResources): void | Promise<void>;
  /** @throws TandemError not_found when it has been removed. */
  stats(): CgroupStats;
  /** The same by runc's names, for its `events`. @throws TandemError not_found when it has been removed. */
  usage(): Usage;
  oomKills(): number;
  /** Calls back at each OOM kill from now on, until the returned function is called. */
  watchOom(callback: () => void): () => void;
  /**
   * Removes the directories and any that the container made below them; safe to repeat. A process that is just dying keeps a
   * cgroup busy for a moment: only then the result is a promise. Parents that creation made stay (as with runc): they are
   * shared with the next containers. @throws TandemError failed_precondition when it is in use after five seconds.
   */
  remove(options?: RemoveOptions): void | Promise<void>;
}

export interface RemoveOptions {
  /** What is still in it is killed first. */
  readonly kill: boolean;
}

/**
 * cgroup v1: `tasks` files, into which the thread writes "0" itself. cgroup v2: the directory that the process is cloned into
 * (CLONE_INTO_CGROUP); in hybrid mode that hierarchy limits nothing and is only a place to be listed in.
 */
export interface CgroupEntrance {
  readonly taskFiles: readonly string[];
  readonly unified: string | undefined;
  /** Whether the v2 directory is where the limits are. */
  readonly unifiedLimits: boolean;
}

/**
 * The files into which a forked child writes "0" to get in. With v1 beside it, the v2 hierarchy has no limits, and moving into it would cost
 * a start its lead.
 */
export function joinFiles({ taskFiles, unified, unifiedLimits }: CgroupEntrance): readonly string[] {
  return unified !== undefined && unifiedLimits ? [`${unified}/cgroup.procs`] : taskFiles;
}

/**
 * Creates the container's cgroup and sets its limits, by the cgroupfs driver; `openScope` is the systemd driver's. On failure nothing
 * of it is left.
 *
 * @throws TandemError already_exists when processes are in it already; invalid_argument naming the property that this
 * kernel cannot honour.
 */
export function openCgroup(request: CgroupRequest): Cgroup {
  const layout = request.member ?? cgroupLayout();
  const wanted = cgroupPaths(layout, request);
  const resources = request.resources === undefined ? undefined : checkResources(request.resources);
  const rdt = openRdt(request);
  let made: Made;
  try {
    made = makeDirectories(layout, wanted, request.none === true);
  } catch (error) {
    native.removeCgroups(rdt?.ownDirs ?? []);
    throw TandemError.from(error, "linux.cgroupsPath");
  }
  const { paths, existing } = made;
  const cgroup = new KernelCgroup(paths, rdt);
  try {
    if (existing.length > 0) claim(cgroup, existing);
  } catch (error) {
    native.removeCgroups(rdt?.ownDirs ?? []);
    throw error;
  }
  try {
    limitCgroup(layout, paths, resources, { isNew: existing.length === 0 });
  } catch (error) {
    native.removeCgroups(cgroup.dirs);
    throw error;
  }
  return cgroup;
}

/**
 * The cgroup of a container that exists, from its recorded directories.
 *
 * @param container for execs: the class of Intel RDT that they join as well
 */
export function loadCgroup(
  dirs: readonly string[],
  container: Partial<Pick<CgroupRequest, "id" | "intelRdt" | "resctrl">> = {},
): Cgroup {
  return new KernelCgroup(...loadParts(dirs, container));
}

/** What a cgroup object is made of. */
export function loadParts(
  dirs: readonly string[],
  container: Partial<Pick<CgroupRequest, "id" | "intelRdt" | "resctrl">>,
): [CgroupPaths, IntelRdt] {
  const paths = cgroupPathsOf(cgroupLayout(), dirs);
  const { id = "", intelRdt, resctrl = intelRdt === undefined ? undefined : mountedResctrl() } = container;
  const taskFiles =
    intelRdt === undefined || resctrl === undefined ? [] : rdtTaskFiles(intelRdt, id, resctrl);
  return [paths, { ownDirs: dirs.filter((directory) => !paths.all.includes(directory)), taskFiles }];
}

function makeDirectories(layout: CgroupLayout, wanted: CgroupPaths, none: boolean): Made {
  if (none) return { paths: cgroupPathsOf(layout, []), existing: [] };
  if (!ownRights().machineRoot) return makeDelegated(layout, wanted);
  return { paths: wanted, existing: native.makeCgroups(wanted.all, wanted.v1.get("cpuset") ?? "") };
}

/** The container's groups of Intel RDT, if it wants any. */
export function openRdt({ intelRdt, id, resctrl }: CgroupRequest): IntelRdt | undefined {
  return intelRdt === undefined ? undefined : openIntelRdt(intelRdt, id, resctrl ?? mountedResctrl());
}

/** Where this machine has resctrl mounted. */
export function mountedResctrl(): string | undefined {
  return resctrlMount(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Sets all limits of a cgroup whose directories exist. @throws TandemError invalid_argument naming the property */
export function limitCgroup(
  layout: CgroupLayout,
  paths: CgroupPaths,
  resources: LinuxResources | undefined,
  { isNew }: { readonly isNew: boolean },
): void {
  prepareV2(layout, paths);
  applyDevices(paths, resources?.devices, { isNew });
  if (resources !== undefined) applyResources(paths, resources);
}

/** Left behind by a shim that died, or made for us by the caller: ours if nobody is in it. */
function claim(cgroup: KernelCgroup, existing: readonly string[]): void {
  for (const directory of existing) {
    const pids = pidsIn(directory);
    if (pids.length > 0) {
      throw new TandemError(
        "already_exists",
        `cgroup ${directory}: has processes already (${pids.slice(0, 5).join(", ")})`,
      );
    }
  }
  cgroup.thaw();
}

/** In hybrid mode the v2 hierarchy has no controllers that we would use: v1 has them. */
function prepareV2(layout: CgroupLayout, paths: CgroupPaths): void {
  if (layout.mode !== "v2" || paths.unified === undefined) return;
  const mount = layout.hierarchies.find(({ version }) => version === 2);
  if (mount !== undefined) enableControllers(mount.mountPoint, paths.unified);
}
