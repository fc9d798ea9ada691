import { requireContainersOwn } from "../isolation/cgroup/require-containers-own.ts";
import { loadCgroup } from "../isolation/cgroup.ts";
import type { Context } from "./command.ts";
import { usualCgroups } from "./container-cgroup.ts";

type Parts = Pick<Context, "call" | "store">;

/**
 * Removes what is found of a container whose record is damaged: its processes by the cgroups that are still told, or by the usual
 * ones, and its directory.
 *
 * @returns what is gone and what may be left, in a line
 * @throws TandemError failed_precondition when the cgroup cannot be removed, or is none that a container may have; then the directory stays
 */
export async function deleteDamaged({ call, store }: Parts, id: string): Promise<string> {
  const cgroups = store.cgroupsOfDamaged(id) ?? usualCgroups({ call, store }, id);
  await endCgroup(cgroups);
  store.remove(id);
  const gone = [store.directory(id), ...cgroups].join(", ");
  const missed = cgroups.length > 0 ? "" : "its processes, which may be in a cgroup that config.json named; ";
  return `container ${id}: its record was damaged; removed ${gone}; not done: ${missed}poststop hooks, unmounting in a mount namespace that it shared`;
}

/** The same of one whose creation was killed before there was a record, or of none: then nothing is done. */
export async function deleteHalfMade({ call, store }: Parts, id: string): Promise<void> {
  if (!store.has(id)) return;
  await endCgroup(usualCgroups({ call, store }, id));
  store.remove(id);
}

async function endCgroup(directories: readonly string[]): Promise<void> {
  requireContainersOwn(directories);
  await loadCgroup(directories).remove({ kill: true });
}
