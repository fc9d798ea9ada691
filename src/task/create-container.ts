import { mountRootfs, type RootfsMount } from "../bundle/rootfs.ts";
import type { RuntimeOptions } from "../bundle/runtime-options.ts";
import { poststopHooks, type Spec } from "../bundle/spec.ts";
import { recordPid, removeStateFile, writeStateFile } from "../bundle/state-file.ts";
import { type OpenStdio, openStdio, type StdioPaths } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { ExecutorContainer } from "../executor/executor.ts";
import type { Selection } from "../executor/select.ts";
import { sharesMounts } from "../executor/shared-mounts.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
import { Container } from "./container.ts";
import type { EventSink } from "./events.ts";
import { discardContainer, takeDown } from "./take-down.ts";
import { TaskProcess } from "./task-process.ts";

export interface CreateOptions {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly rootfs: readonly RootfsMount[];
  readonly stdio: StdioPaths;
  readonly options: RuntimeOptions;
  /** Directory of a checkpoint to start from; "" for none. */
  readonly checkpoint: string;
}

/** What a container is made with. The shim passes the real things, tests pass fakes. */
export interface ContainerDependencies {
  readonly events: EventSink;
  readonly log: Log;
  /** Path of the pod's ttrpc socket, for the state file. */
  readonly socketPath: string;
  loadSpec(bundle: string): Spec;
  openCgroup(request: CreateOptions, spec: Spec): Cgroup | Promise<Cgroup>;
  select(request: CreateOptions, spec: Spec, rootfs: string): Promise<Selection>;
  createContainer(
    selection: Selection,
    request: CreateOptions,
    parts: { spec: Spec; rootfs: string; cgroup: Cgroup; stdio: OpenStdio | undefined },
  ): Promise<ExecutorContainer>;
}

/** Brings a container to "created" and publishes TaskCreate. On failure nothing of it is left. */
export async function createContainer(
  request: CreateOptions,
  deps: ContainerDependencies,
): Promise<Container> {
  const spec = deps.loadSpec(request.bundle);
  const rootfs = mountRootfs(request.bundle, request.rootfs, spec.root?.path ?? "rootfs");
  let cgroup: Cgroup | undefined;
  let stdio: OpenStdio | undefined;
  let executor: ExecutorContainer | undefined;
  try {
    const selection = await deps.select(request, spec, rootfs.path);
    refuseCheckpoint(request, selection);
    cgroup = await deps.openCgroup(request, spec);
    writeStateFile(request.bundle, {
      cgroups: cgroup.dirs,
      // Those of a container that shares the runtime's mount namespace are taken away with its root.
      mounts: sharesMounts(spec) ? [...rootfs.mountPoints, rootfs.path] : rootfs.mountPoints,
      socket: deps.socketPath,
      poststop: poststopHooks(spec),
    });
    stdio = request.stdio.terminal ? undefined : openStdio(request.stdio, request);
    executor = await deps.createContainer(selection, request, {
      spec,
      rootfs: rootfs.path,
      cgroup,
      stdio,
    });
    // A checkpoint's pid is known at its start: until then nothing of it is in the cgroup.
    if (executor.init.pid !== 0) {
      await cgroup.settle();
      recordPid(request.bundle, executor.init.pid);
    }
    const init = new TaskProcess("", request.stdio);
    init.attach(executor.init, stdio);
    const { id, namespace, bundle } = request;
    const parts = { id, namespace, bundle, selection, spec, init, cgroup, rootfs, executor };
    const container = new Container(parts, deps);
    deps.events.publish({
      topic: "/tasks/create",
      containerId: request.id,
      bundle: request.bundle,
      rootfs: request.rootfs,
      io: request.stdio,
      checkpoint: request.checkpoint,
      pid: init.pid,
    });
    return container;
  } catch (error) {
    try {
      // The process was there, but its terminal could not be opened, for example.
      if (executor !== undefined) await discardContainer(executor);
      await stdio?.close();
      await takeDown(rootfs, cgroup);
      removeStateFile(request.bundle);
    } catch (late) {
      // The caller is to hear the cause. The state file stays: `delete` takes down what is left.
      deps.log.error({ err: late, id: request.id }, "cleaning up");
    }
    throw error;
  }
}

/** @throws TandemError unimplemented for a wasm container */
function refuseCheckpoint({ id, checkpoint }: CreateOptions, selection: Selection): void {
  if (checkpoint !== "" && selection.kind !== "linux")
    throw new TandemError(
      "unimplemented",
      `container ${id}: only a Linux container goes on from a checkpoint`,
    );
}
