import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import { native } from "../../native.ts";
import { ownRights } from "../../rights.ts";
import type { CgroupLayout } from "./layout.ts";
import { type CgroupPaths, cgroupPathsOf } from "./paths.ts";

/** The directories that exist now, and which of them did before. */
export interface Made {
  readonly paths: CgroupPaths;
  readonly existing: readonly string[];
}

/**
 * For who is not root of the machine: makes the container's directories in those hierarchies in which a part was delegated to this
 * user (cgroup-v2.rst, "Delegation"; in v1 a directory that belongs to them), and leaves the others out. A limit that needs one of
 * those is an error later, and without limits a container does well without.
 */
export function makeDelegated(layout: CgroupLayout, wanted: CgroupPaths): Made {
  const existing: string[] = [];
  const made = wanted.all.filter((directory) => {
    try {
      const before = native.makeCgroups([directory], wanted.v1.get("cpuset") ?? "");
      existing.push(...before);
      if (mayEnter(layout, directory)) return true;
      if (before.length === 0) native.removeCgroups([directory]);
      return false;
    } catch (error) {
      if (isForbidden(error)) return false;
      native.removeCgroups(wanted.all.filter((path) => !existing.includes(path)));
      throw error;
    }
  });
  return {
    paths: cgroupPathsOf(layout, made),
    existing: existing.filter((directory) => made.includes(directory)),
  };
}

/** For errors. */
export function whyAbsent(): string {
  return ownRights().machineRoot
    ? "it was made without one (--cgroup-manager disabled)"
    : "none was delegated to this user";
}

/**
 * v1 asks for the right to write the thread into `tasks`. v2 also asks for it at the nearest ancestor that the cgroup shares with the
 * one from which the process comes.
 */
function mayEnter({ hierarchies }: CgroupLayout, directory: string): boolean {
  const hierarchy = hierarchies.find(({ mountPoint }) => directory.startsWith(`${mountPoint}/`));
  if (hierarchy === undefined) return false;
  if (hierarchy.version === 1) return isWritable(`${directory}/tasks`);
  let shared = directory;
  const own = hierarchy.ownDirectory;
  if (own === undefined) return false;
  while (!`${own}/`.startsWith(`${shared}/`)) shared = dirname(shared);
  return isWritable(`${shared}/cgroup.procs`) && isWritable(`${directory}/cgroup.procs`);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    if (isForbidden(error)) return false;
    throw error;
  }
}

function isForbidden(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}
