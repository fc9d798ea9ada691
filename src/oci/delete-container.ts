import { TandemError } from "../errors.ts";
import { runHooks } from "../executor/hooks.ts";
import { unmountShared } from "../executor/shared-mounts.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { Context } from "./command.ts";
import { LiveContainer } from "./live-container.ts";

const END_TIMEOUT_MS = 10_000;

type Parts = Pick<Context, "afterwards" | "call" | "containerInit" | "made" | "warn">;

/** Kills what is left of a container and forgets it. @throws TandemError when something hangs in the kernel */
export async function deleteContainer(
  container: LiveContainer,
  { afterwards, call, containerInit, made, warn }: Parts,
): Promise<void> {
  const { record, store } = container;
  await container.end(END_TIMEOUT_MS);
  const tell = (error: unknown): void => warn(TandemError.from(error).message);
  // With a pid namespace of its own, all of it ended with init: who is in the cgroup still is another container of the same path.
  // Without one, only the cgroup says what else belongs to it.
  if (container.hasOwnPids) await removeEmpty(container.cgroup).catch(tell);
  else await container.cgroup.remove({ kill: true });
  await unmountShared(containerInit, record).catch(tell);
  store.remove(record.id);
  made.delete(store.directory(record.id));
  // The container is gone by then, and its id another's to take: also a hook's own.
  afterwards(() => runHooks("poststop", record, 0, { environment: call.env }).catch(tell));
}

/** The same, unless somebody has done so already: another of the same id may be there by now. */
export async function deleteIfThere({ record, store }: LiveContainer, context: Parts): Promise<void> {
  if (!store.has(record.id)) return;
  const present = new LiveContainer(store, record.id);
  const { pid, startTime } = present.record;
  if (pid === record.pid && startTime === record.startTime) await deleteContainer(present, context);
}

async function removeEmpty(cgroup: Cgroup): Promise<void> {
  await cgroup.remove();
}
