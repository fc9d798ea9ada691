import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { cgroupLayout, cgroupLayoutAt, type Hierarchy } from "../isolation/cgroup/layout.ts";
import { subtree } from "../isolation/cgroup/processes.ts";
import { type Cgroup, loadCgroup } from "../isolation/cgroup.ts";
import { ownRights } from "../rights.ts";
import type { Context } from "./command.ts";
import { DEFAULT_CGROUP, usualName, usualScope } from "./container-cgroup.ts";

/**
 * What there is of the cgroup of a container whose config.json names none: by systemd's driver where the command line asks for that.
 * undefined when there is nothing.
 */
export async function findUsualCgroup(
  context: Pick<Context, "call" | "store" | "systemdCgroup">,
  id: string,
): Promise<Cgroup | undefined> {
  const { call, store } = context;
  if (context.systemdCgroup) {
    const { findScope } = await import("../isolation/systemd/find-scope.ts");
    return await findScope(usualScope(store, id), Object.fromEntries(call.env));
  }
  const name = `${DEFAULT_CGROUP}/${usualName(store, id)}`;
  const directories = ownRights().machineRoot
    ? cgroupLayout()
        .hierarchies.map(({ mountPoint }) => `${mountPoint}/${name}`)
        .filter((directory) => existsSync(directory))
    : call.lookAtClient(cgroupLayoutAt).hierarchies.flatMap((hierarchy) => findDelegated(hierarchy, name));
  return directories.length === 0 ? undefined : loadCgroup(directories);
}

/** Below whose cgroup it was made, nobody knows any more: it is looked for in all that was delegated to this user around the client's. */
function findDelegated({ mountPoint, ownDirectory }: Hierarchy, name: string): string[] {
  if (ownDirectory === undefined) return [];
  let top = ownDirectory;
  while (top !== mountPoint && isOurs(dirname(top))) top = dirname(top);
  return subtree(top).filter((directory) => directory.endsWith(`/${name}`) && isOurs(directory));
}

function isOurs(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false })?.uid === process.geteuid?.();
}
