import { closeSync, readFileSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { requireContainersOwn } from "../isolation/cgroup/require-containers-own.ts";
import { type Cgroup, loadCgroup } from "../isolation/cgroup.ts";
import { loadScope } from "../isolation/systemd/scope.ts";
import { processStat } from "../process-stat.ts";
import { SIGKILL } from "../signals.ts";
import type { Context } from "./command.ts";
import { findUsualCgroup } from "./find-usual-cgroup.ts";
import type { LegibleParts } from "./record.ts";
import { endsWithin, openProcess, sendSignal } from "./recorded-process.ts";

type Parts = Pick<Context, "call" | "store" | "systemdCgroup">;

const END_TIMEOUT_MS = 10_000;

/**
 * Removes what is found of a container whose record is damaged: its processes by the process, the cgroups and the scope that the
 * record still tells, or by the usual cgroup; and its directory.
 *
 * @returns what is gone and what may be left, in a line
 * @throws TandemError failed_precondition, and then the directory stays, when all of that leaves open whether a process of it lives, when a
 * cgroup cannot be removed, or is none that a container may have
 */
export async function deleteDamaged(context: Parts, id: string): Promise<string> {
  const { store } = context;
  const legible = store.legibleParts(id);
  const cgroup = (await findToldCgroup(legible)) ?? (await findUsualCgroup(context, id));
  requireContainersOwn(cgroup?.dirs ?? []);
  const first = legible.process === undefined ? undefined : openProcess(legible.process);
  try {
    if (!isAllKnown({ legible, cgroup, first })) throw unknownWhere(context, id);
    if (first !== undefined) sendSignal(first, SIGKILL);
    await cgroup?.remove({ kill: true });
    if (first !== undefined && !(await endsWithin(first, END_TIMEOUT_MS)))
      throw new TandemError("deadline_exceeded", `container ${id}: does not end`);
  } finally {
    if (first !== undefined) closeSync(first);
  }
  store.remove(id);
  const missed = cgroup === undefined ? "removing its cgroup, which is not told; " : "";
  return `container ${id}: its record was damaged; removed ${removed(context, id, cgroup)}; not done: ${missed}poststop hooks, unmounting in a mount namespace that it shared`;
}

/**
 * The same where there is no record: it is written before there is a process, so that creation was cut off, or the record was removed.
 *
 * @returns undefined when there is nothing
 */
export async function deleteHalfMade(context: Parts, id: string): Promise<string | undefined> {
  const { store } = context;
  if (!store.has(id)) return undefined;
  const cgroup = await findUsualCgroup(context, id);
  requireContainersOwn(cgroup?.dirs ?? []);
  await cgroup?.remove({ kill: true });
  store.remove(id);
  return `container ${id}: had no record: its creation was cut off before it had a process, or somebody removed the record; removed ${removed(context, id, cgroup)}`;
}

function removed({ store }: Parts, id: string, cgroup: Cgroup | undefined): string {
  const unit = cgroup?.unit === undefined ? [] : [cgroup.unit.name];
  return [store.directory(id), ...(cgroup?.dirs ?? []), ...unit].join(", ");
}

/** By the record; undefined when that says nothing of it. */
async function findToldCgroup({ cgroups, unit }: LegibleParts): Promise<Cgroup | undefined> {
  if (cgroups === undefined) {
    if (unit === undefined) return undefined;
    const { findUnit } = await import("../isolation/systemd/find-scope.ts");
    // One that systemd does not know any more has ended, and all that was in it.
    return (await findUnit(unit)) ?? loadScope([], unit);
  }
  return unit === undefined ? loadCgroup(cgroups) : loadScope(cgroups, unit);
}

interface Found {
  readonly legible: LegibleParts;
  readonly cgroup: Cgroup | undefined;
  /** Its first process, which is alive. */
  readonly first: number | undefined;
}

/** Whether what is found is all that there can be of its processes. */
function isAllKnown({ legible, cgroup, first }: Found): boolean {
  if (cgroup !== undefined && (cgroup.dirs.length > 0 || cgroup.unit !== undefined)) return true;
  // Made without a cgroup: nothing but the process was ever known.
  if (legible.cgroups !== undefined) return legible.process !== undefined && !isAnothers(legible.process);
  return first !== undefined && isFirstOfNamespace(legible.process?.pid ?? 0);
}

/** Whether the number is another process's now: of a damaged record, the start time may be what is wrong. */
function isAnothers({ pid, startTime }: NonNullable<LegibleParts["process"]>): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.startTime !== startTime;
}

/** Such a one takes all others of its pid namespace along (pid_namespaces(7)). */
function isFirstOfNamespace(pid: number): boolean {
  // Its numbers from our pid namespace to its own (proc_pid_status(5)).
  try {
    return /^NSpid:\t\d+(\t\d+)*\t1$/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch (error) {
    // It has ended just now: what it was cannot be seen any more.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

function unknownWhere({ store }: Parts, id: string): TandemError {
  return new TandemError(
    "failed_precondition",
    `container ${id}: its record is damaged and does not say where its processes are: repeat with --systemd-cgroup if it was created with it; else end what is in the cgroup that its config.json names, then remove ${store.directory(id)}`,
  );
}
