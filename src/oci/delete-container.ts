import { TandemError } from "../errors.ts";
import { runHooks } from "../executor/hooks.ts";
import { unmountShared } from "../executor/shared-mounts.ts";
import { SIGKILL } from "../signals.ts";
import type { Context } from "./command.ts";
import type { LiveContainer } from "./live-container.ts";

const END_TIMEOUT_MS = 10_000;

/** Kills what is left of a container and forgets it. @throws TandemError when something hangs in the kernel */
export async function deleteContainer(
  container: LiveContainer,
  { call, containerInit, warn }: Pick<Context, "call" | "containerInit" | "warn">,
): Promise<void> {
  const { record, store } = container;
  if (container.isAlive) {
    container.kill(SIGKILL);
    container.cgroup.thaw();
  }
  await container.waitForEnd(END_TIMEOUT_MS);
  const { cgroup } = container;
  // Without a pid namespace of its own, only the cgroup says what else belongs to it.
  if (cgroup.pids().length > 0) cgroup.kill(SIGKILL);
  await cgroup.remove();
  const tell = (error: unknown): void => warn(TandemError.from(error).message);
  await unmountShared(containerInit, record).catch(tell);
  store.remove(record.id);
  await runHooks("poststop", record, 0, { environment: call.env }).catch(tell);
}
