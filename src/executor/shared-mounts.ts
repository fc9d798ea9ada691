import { closeSync, openSync } from "node:fs";
import type { Spec } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { namespaceFlags } from "../isolation/namespaces.ts";
import { NO_FD } from "../isolation/steps.ts";
import { cloneHere, memfdOf, nowhere, spawnInit } from "./spawn-init.ts";

const PATIENCE_MS = 10_000;

/** Whether the container's mounts are in a namespace that outlives it: the runtime's, or one that is given by path. */
export function sharesMounts({ linux }: Spec): boolean {
  const mount = linux?.namespaces?.find(({ type }) => type === "mount");
  return mount === undefined || (mount.path ?? "") !== "";
}

/**
 * Takes the rootfs, and all that was mounted in it for a container that has ended, out of a mount namespace that lives on. Safe
 * to repeat only where nothing else is mounted on the rootfs's directory, so it is done once.
 *
 * @param executable container-init, sealed
 * @throws TandemError
 */
export async function unmountShared(
  executable: number,
  { spec, rootfs }: { readonly spec: Spec; readonly rootfs: string },
): Promise<void> {
  if (!sharesMounts(spec)) return;
  const path = spec.linux?.namespaces?.find(({ type }) => type === "mount")?.path ?? "";
  const opened: number[] = [];
  try {
    if (path !== "") opened.push(openSync(path, "r"));
    const process = await spawnInit(cloneHere, {
      executable,
      stdio: undefined,
      cgroup: nowhere,
      newNamespaces: 0,
      joins: opened.map((fd) => ({ fd, type: namespaceFlags.mount, property: "linux.namespaces mount" })),
      onListener: () => undefined,
    });
    try {
      const plan = memfdOf([
        { op: "unmount", property: "root.path", path: rootfs },
        { op: "created", property: "", starter: NO_FD },
      ]);
      opened.push(plan);
      await process.create({ fds: [plan], signal: AbortSignal.timeout(PATIENCE_MS) }, async () => undefined);
    } finally {
      await process.destroy();
    }
  } catch (error) {
    throw TandemError.from(error, `root.path: unmount ${rootfs}`);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
