import { closeSync } from "node:fs";
import { resolve } from "node:path";
import { loadSpec, type Spec } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { InitProcess } from "../executor/init-process.ts";
import { createInit } from "../executor/linux-init.ts";
import { unmountShared } from "../executor/shared-mounts.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import { type Context, clientPath, containerId } from "./command.ts";
import { consoleFlags, requireConsole, sendConsole } from "./console.ts";
import { openContainerCgroup } from "./container-cgroup.ts";
import type { Flags } from "./flags.ts";
import { pidFileFlags, writePidFile } from "./pid-file.ts";
import { pidfdFlags, sendPidfd } from "./pidfd-socket.ts";
import { preservedDescriptors } from "./preserved-descriptors.ts";
import type { ContainerRecord } from "./record.ts";
import { startTimeOf } from "./recorded-process.ts";
import type { Identity } from "./store.ts";

/** Options that `create` and `run` share. */
export const createFlags: Flags = {
  bundle: { value: "DIR", short: "b", help: "the bundle; the working directory unless given" },
  ...consoleFlags,
  ...pidFileFlags,
  ...pidfdFlags,
  "no-pivot": { help: "move the root mount instead of pivot_root (for a root on a ramdisk)" },
  "no-new-keyring": { help: "leave the session keyring as it is" },
  "preserve-fds": { value: "N", help: "hand on N more descriptors, from 3 on" },
};

export interface CreatedContainer {
  /** By which it is known from another of the same id, later. */
  readonly directory: Identity;
  readonly record: ContainerRecord;
  readonly init: InitProcess;
  readonly cgroup: Cgroup;
}

/** How it goes on after "created". */
export interface Continuation {
  /** "later": by another command line. "here": by the caller, on the connection of its creation. "itself": at once. */
  readonly start: "later" | "here" | "itself";
  /** Whether the client ends before the container does. */
  readonly detach: boolean;
}

const CREATE_TIMEOUT_MS = 180_000;

/**
 * Brings a container to "created" and records it; called when nothing else is done to it (`Context.alone`). On failure nothing of it is left.
 *
 * @throws TandemError
 */
export async function bringToCreated(
  context: Context,
  continuation: (spec: Spec) => Continuation,
): Promise<CreatedContainer> {
  const { given, store } = context;
  const id = containerId(context);
  const bundle = clientPath(context, given.text("bundle") ?? ".");
  const { spec, preserved } = withPreserved(context, loadSpec(bundle));
  const next = continuation(spec);
  requireConsole(context, spec.process?.terminal === true, next.detach);
  refuseWasm(spec);
  const directory = store.reserve(id);
  context.made.add(store.directory(id), directory);
  let cgroup: Cgroup | undefined;
  let init: InitProcess | undefined;
  let starter: number | undefined;
  try {
    cgroup = await openContainerCgroup(context, id, spec);
    const record = recordFirst(context, { id, bundle, spec, cgroup });
    let born = record;
    const start = startOf(next, cgroup);
    if (start === "later") starter = store.listenForStart(id);
    init = await createInit(
      {
        ...context.host({ preserved, wait: start === "itself" && !next.detach }),
        noPivotRoot: given.has("no-pivot"),
        noNewKeyring: given.has("no-new-keyring"),
      },
      {
        ...record,
        cgroup,
        stdio: spec.process?.terminal === true ? undefined : { stdin: 0, stdout: 1, stderr: 2 },
        signal: AbortSignal.any([context.call.signal, AbortSignal.timeout(CREATE_TIMEOUT_MS)]),
        ...(start === "here" ? {} : { starter: starter ?? "itself" }),
        onBirth: (pid) => {
          born = { ...record, pid, startTime: startTimeOf(pid) };
          store.save(born);
        },
      },
    );
    await cgroup.settle();
    const complete = { ...born, complete: true };
    store.save(complete);
    sendConsole(context, init);
    sendPidfd(context, init.pid);
    writePidFile(context, init.pid);
    return { directory, record: complete, init, cgroup };
  } catch (error) {
    if (init !== undefined) {
      await init.destroy();
      await unmountShared(context.containerInit, { spec, rootfs: rootfsOf(bundle, spec) });
    }
    await cgroup?.remove();
    store.remove(id, directory);
    throw error;
  } finally {
    if (starter !== undefined) closeSync(starter);
  }
}

/** One that starts by itself may run before its pid is recorded: then there must be a cgroup by which it is found. */
function startOf({ start }: Continuation, { dirs }: Cgroup): Continuation["start"] {
  return start === "itself" && dirs.length === 0 ? "here" : start;
}

/**
 * Records a container of which there is nothing but a cgroup yet, so that what a killed server leaves behind is found.
 *
 * @returns the whole record; what is saved has no more of config.json than its version
 */
export function recordFirst(
  context: Context,
  parts: { readonly id: string; readonly bundle: string; readonly spec: Spec; readonly cgroup: Cgroup },
): ContainerRecord {
  const { id, bundle, spec, cgroup } = parts;
  const record = {
    id,
    bundle,
    spec,
    rootfs: rootfsOf(bundle, spec),
    pid: 0,
    startTime: "",
    created: new Date().toISOString(),
    owner: process.geteuid?.() ?? 0,
    cgroups: cgroup.dirs,
    unit: cgroup.unit,
    noNewKeyring: context.given.has("no-new-keyring"),
    complete: false,
  };
  context.store.save({ ...record, spec: { ociVersion: spec.ociVersion } });
  return record;
}

function rootfsOf(bundle: string, spec: Spec): string {
  return resolve(bundle, spec.root?.path ?? "rootfs");
}

/** Descriptors from 3 on reach the program; those of socket activation are announced to it (sd_listen_fds(3)). */
function withPreserved(context: Context, spec: Spec): { spec: Spec; preserved: number } {
  const { preserved, env } = preservedDescriptors(context);
  if (env.length === 0 || spec.process === undefined) return { spec, preserved };
  const process = { ...spec.process, env: [...(spec.process.env ?? []), ...env] };
  return { spec: { ...spec, process }, preserved };
}

/** A wasm process is a fork of the zygote and cannot be the client's child. */
function refuseWasm({ annotations = {} }: Spec): void {
  const handler = annotations["run.oci.handler"] ?? annotations["module.wasm.image/variant"];
  if (handler === undefined) return;
  throw new TandemError(
    "unimplemented",
    `annotation run.oci.handler ${handler}: the command line runs Linux containers; wasm needs the shim (io.containerd.tandem.v1)`,
  );
}
