import type { Placeholder } from "../isolation/systemd/scope.ts";
import { cloneHere, nowhere, spawnInit } from "./spawn-init.ts";

/** A container-init that waits for a plan that never comes. @param executable container-init, sealed */
export async function spawnPlaceholder(executable: number): Promise<Placeholder> {
  const process = await spawnInit(cloneHere, {
    executable,
    stdio: undefined,
    cgroup: nowhere,
    newNamespaces: 0,
    joins: [],
    onListener: () => undefined,
  });
  return { pid: process.pid, release: () => process.destroy() };
}
