import { accessSync, constants, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { TandemError } from "../errors.ts";
import { cgroupLayout, cgroupLayoutAt } from "../isolation/cgroup/layout.ts";
import type { Call } from "../oci/call.ts";
import type { RunCallRequest } from "../oci/protocol.ts";
import { maySetGroups, ownRights } from "../rights.ts";
import type { Inheritance } from "./run-config.ts";

/**
 * A guest is the zygote's child, and yet has the umask, the limits, the groups and the cgroups of who asked for it. Who is not root gets as
 * much of it as they may have by themselves.
 *
 * @throws TandemError unavailable when the caller is gone
 */
export function inheritanceOf({ umask, rlimits }: RunCallRequest, call: Call): Inheritance {
  return { umask, cgroupFiles: cgroupFilesOf(call), rlimits: toOwn(rlimits), user: userOf(call) };
}

/**
 * The caller's gid and groups, where they are not the zygote's; its uid is that always. Who may not set groups has a zygote of the same ones
 * (native/launcher/places.c).
 */
function userOf(call: Call): Inheritance["user"] {
  const own = readFileSync("/proc/self/status", "latin1");
  if (!maySetGroups(own)) return undefined;
  const wanted = call.lookAtClient((pid) => groupsOf(readFileSync(`/proc/${pid}/status`, "latin1")));
  return JSON.stringify(wanted) === JSON.stringify(groupsOf(own))
    ? undefined
    : { uid: process.geteuid?.() ?? 0, ...wanted };
}

/** proc_pid_status(5): of gids the effective one. */
function groupsOf(status: string): { gid: number; additionalGids: number[] } {
  const [, gid] = /^Gid:\t\d+\t(\d+)\t/m.exec(status) ?? [];
  const [, groups = ""] = /^Groups:\t([\d ]*)$/m.exec(status) ?? [];
  if (gid === undefined) throw new TandemError("internal", "/proc/<pid>/status: has no gid");
  return { gid: Number(gid), additionalGids: groups.split(" ").filter(Boolean).map(Number) };
}

/** The files that take a process into the caller's cgroups, where it is not in them already. */
function cgroupFilesOf(call: Call): string[] {
  if (!hasCgroups()) return [];
  const own = new Set(cgroupLayout().hierarchies.map(({ ownDirectory }) => ownDirectory));
  const { mode, hierarchies } = call.lookAtClient(cgroupLayoutAt);
  return hierarchies.flatMap(({ version, ownDirectory }) => {
    // With v1 beside it v2 has no controllers, and moving into it costs a grace period.
    if (ownDirectory === undefined || own.has(ownDirectory) || (version === 2 && mode === "hybrid"))
      return [];
    const file = `${ownDirectory}/${version === 1 ? "tasks" : "cgroup.procs"}`;
    return ownRights().machineRoot || mayJoin(ownDirectory, file, version) ? [file] : [];
  });
}

/** Where none is mounted, nobody is in one that could be seen. */
function hasCgroups(): boolean {
  try {
    return cgroupLayout().hierarchies.length > 0;
  } catch (error) {
    if (TandemError.from(error).code === "failed_precondition") return false;
    throw error;
  }
}

/** cgroup v2 also asks for the right to write to the nearest ancestor that both have. */
function mayJoin(directory: string, file: string, version: 1 | 2): boolean {
  const own =
    cgroupLayout().hierarchies.find((hierarchy) => hierarchy.version === version)?.ownDirectory ?? "/";
  let shared = directory;
  while (!`${own}/`.startsWith(`${shared}/`) && shared !== "/") shared = dirname(shared);
  return isWritable(file) && (version === 1 || isWritable(`${shared}/cgroup.procs`));
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    // Whatever the reason: it could not be written to.
    return false;
  }
}

type Limit = readonly [soft: bigint, hard: bigint];

/** RLIM_INFINITY */
const UNLIMITED = (1n << 64n) - 1n;

/** Those that differ from what the zygote's children have; who is not root cannot have more than the zygote. */
function toOwn(wanted: readonly Limit[]): Inheritance["rlimits"] {
  const own = ownLimits();
  return wanted.flatMap((limit, resource) => {
    const [ownSoft, ownHard] = own[resource] ?? [UNLIMITED, UNLIMITED];
    const hard = ownRights().machineRoot ? limit[1] : least(limit[1], ownHard);
    const soft = least(limit[0], hard);
    return soft === ownSoft && hard === ownHard ? [] : [[resource, String(soft), String(hard)] as const];
  });
}

/** /proc/<pid>/limits has a line for each resource, in the order of their numbers (fs/proc/base.c). */
function ownLimits(): Limit[] {
  const [, ...lines] = readFileSync("/proc/self/limits", "latin1").trimEnd().split("\n");
  return lines.map((line) => {
    const [, soft = "", hard = ""] = /^.{26}(\S+)\s+(\S+)/.exec(line) ?? [];
    return [toLimit(soft), toLimit(hard)] as const;
  });
}

function toLimit(text: string): bigint {
  return text === "unlimited" ? UNLIMITED : BigInt(text);
}

function least(left: bigint, right: bigint): bigint {
  return left < right ? left : right;
}
