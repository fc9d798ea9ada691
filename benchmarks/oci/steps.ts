import { join } from "node:path";
import type { Step } from "./driver.ts";
import type { Runtime } from "./runtimes.ts";

/** What a step is done with. */
export interface StepContext {
  readonly runtime: Runtime;
  /** --root of this run and this runtime. */
  readonly root: string;
  readonly bundle: string;
  /** The file by which a process enters the runtime's cgroup, or "-". */
  readonly cgroup: string;
}

function call(
  { runtime, root, cgroup }: StepContext,
  name: string | undefined,
  words: readonly string[],
): Step {
  const fields = ["run", cgroup, ...runtime.environment, "--", runtime.binary, "--root", root, ...words];
  return { runtime: runtime.name, name, fields };
}

/** A container by one call, in the foreground. */
export function runSteps(context: StepContext): Step[] {
  return [call(context, "run", ["run", "--bundle", context.bundle, "r{}"])];
}

/**
 * A container by its three calls. `delete` is called when the container's process has ended, which is waited for and not counted:
 * runtimes differ in how they wait for one that they kill.
 */
export function lifeSteps(context: StepContext): Step[] {
  const pidFile = join(context.root, "..", `${context.runtime.name}.pid`);
  const create = ["create", "--bundle", context.bundle, "--pid-file", pidFile, "c{}"];
  return [
    call(context, "create", create),
    call(context, "start", ["start", "c{}"]),
    { runtime: context.runtime.name, name: undefined, fields: ["await", pidFile] },
    call(context, "delete", ["delete", "c{}"]),
  ];
}

/** A container that stays; its bundle is numbered. */
export function aliveSteps(context: StepContext): Step[] {
  const pidFile = join(context.root, "..", `${context.runtime.name}.pid`);
  return [
    call(context, "alive", ["create", "--bundle", `${context.bundle}{}`, "--pid-file", pidFile, "a{}"]),
    call(context, "alive", ["start", "a{}"]),
  ];
}

/** The same as engines do it: conmon calls `create`, stays, and holds the container's output. */
export function monitoredSteps(context: StepContext, conmon: string): Step[] {
  const { runtime, root, bundle, cgroup } = context;
  const place = `${bundle}{}`;
  const words = [
    ...["--api-version", "1", "--cid", "m{}", "--cuuid", "m{}", "--name", "m{}", "--runtime", runtime.binary],
    ...["--runtime-arg", "--root", "--runtime-arg", root, "--bundle", place, "--persist-dir", place],
    ...["--container-pidfile", join(place, "pid"), "--conmon-pidfile", join(place, "conmon.pid")],
    ...["--log-path", `k8s-file:${join(place, "log")}`, "--log-level", "error", "--exit-dir", place],
    ...["--socket-dir-path", place, "--full-attach"],
  ];
  return [
    {
      runtime: runtime.name,
      name: "alive",
      fields: ["line", cgroup, ...runtime.environment, "--", conmon, ...words],
    },
    call(context, "alive", ["start", "m{}"]),
  ];
}

/** What the kernel takes for the same container, without a runtime. */
export function kernelStep(rootfs: string, binds: number): Step {
  return { runtime: "kernel", name: "run", fields: ["kernel", rootfs, String(binds)] };
}
