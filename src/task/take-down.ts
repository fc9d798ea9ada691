import type { Rootfs } from "../bundle/rootfs.ts";
import { TandemError } from "../errors.ts";
import type { ExecutorContainer, ExecutorProcess } from "../executor/executor.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import { SIGKILL } from "../signals.ts";

/** Takes a container's cgroup and rootfs away; each is tried whatever becomes of the other. Safe to repeat. */
export async function takeDown(rootfs: Rootfs, cgroup: Cgroup | undefined): Promise<void> {
  try {
    await cgroup?.remove();
  } finally {
    rootfs.unmount();
  }
}

/** Ends a process that its client will never hear of. */
export async function discardProcess(process: ExecutorProcess): Promise<void> {
  try {
    process.kill(SIGKILL);
  } catch (error) {
    if (TandemError.from(error).code !== "not_found") throw error;
  }
  await process.exited;
}

/** The same for a whole container: its hooks see the end of it as of any other. */
export async function discardContainer(container: ExecutorContainer): Promise<void> {
  await discardProcess(container.init);
  await container.release();
}
