import { existsSync } from "node:fs";
import { cgroupLayout } from "../cgroup/layout.ts";
import type { Cgroup, SystemdUnit } from "../cgroup.ts";
import { Manager } from "./manager.ts";
import { managerAddresses, managerKind } from "./manager-addresses.ts";
import { loadScope } from "./scope.ts";
import { scopeName, sliceDirectory } from "./unit-name.ts";

/**
 * A scope of which nothing but its name is known, and the directories that there are of it, also where systemd has ended it already.
 * undefined when there is neither.
 *
 * @param cgroupsPath slice:prefix:name
 * @param env where DBUS_… and XDG_RUNTIME_DIR are looked up
 * @throws TandemError failed_precondition when systemd does not run here
 */
export function findScope(
  cgroupsPath: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Cgroup | undefined> {
  const kind = managerKind();
  const { slice, unit } = scopeName(cgroupsPath, { namespace: "", id: "", kind });
  // A user's slices are below the cgroup of their manager, whose place only that knows.
  const path = kind === "system" ? `${sliceDirectory(slice)}/${unit}` : undefined;
  return findUnit({ name: unit, addresses: managerAddresses(kind, env) }, path);
}

/** The same of one whose systemd is known. @param path where its cgroup would be */
export async function findUnit(unit: SystemdUnit, path?: string): Promise<Cgroup | undefined> {
  const told = await Manager.use(unit.addresses, (manager) => manager.controlGroup(unit.name));
  const place = told ?? path;
  if (place === undefined) return undefined;
  const directories = cgroupLayout()
    .hierarchies.map(({ mountPoint }) => `${mountPoint}${place}`)
    .filter((directory) => existsSync(directory));
  return told === undefined && directories.length === 0 ? undefined : loadScope(directories, unit);
}
