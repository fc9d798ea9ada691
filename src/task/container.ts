import type { LinuxResources } from "../bundle/resources.ts";
import { mountRootfs, type Rootfs, type RootfsMount } from "../bundle/rootfs.ts";
import type { RuntimeOptions } from "../bundle/runtime-options.ts";
import { poststopHooks, type Spec, type SpecProcess } from "../bundle/spec.ts";
import { recordPid, removeStateFile, writeStateFile } from "../bundle/state-file.ts";
import { type OpenStdio, openStdio, type StdioPaths } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { CheckpointRequest, ExecutorContainer, ExitStatus } from "../executor/executor.ts";
import type { Selection } from "../executor/select.ts";
import { sharesMounts } from "../executor/shared-mounts.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
import { SIGKILL } from "../signals.ts";
import type { EventSink } from "./events.ts";
import { Execs } from "./execs.ts";
import { assertCan } from "./status.ts";
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

/** @throws TandemError unimplemented for a wasm container */
function refuseCheckpoint({ id, checkpoint }: CreateOptions, selection: Selection): void {
  if (checkpoint !== "" && selection.kind !== "linux")
    throw new TandemError(
      "unimplemented",
      `container ${id}: only a Linux container goes on from a checkpoint`,
    );
}

/** One container: its init, its execs, its cgroup and rootfs. Every rule of the Task service's states lives here. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly selection: Selection;
  readonly init: TaskProcess;
  /** Whether its processes outlive their parents in somebody else's pid namespace. */
  readonly sharesPids: boolean;
  readonly #execs: Execs;
  readonly #parts: {
    readonly cgroup: Cgroup;
    readonly rootfs: Rootfs;
    readonly executor: ExecutorContainer;
    readonly namespace: string;
  };
  readonly #deps: ContainerDependencies;
  readonly #stopWatchingOom: () => void;
  #oomReported = 0;
  #starting: Promise<void> = Promise.resolve();
  #cleanup: Promise<void> | undefined;
  /** Mutating requests on one container, one after the other; State, Wait and Stats never queue here. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(
    request: CreateOptions,
    selection: Selection,
    init: TaskProcess,
    parts: { spec: Spec; cgroup: Cgroup; rootfs: Rootfs; executor: ExecutorContainer },
    deps: ContainerDependencies,
  ) {
    this.id = request.id;
    this.bundle = request.bundle;
    this.selection = selection;
    this.init = init;
    const pids = parts.spec.linux?.namespaces?.find(({ type }) => type === "pid");
    this.sharesPids = selection.kind === "linux" && (pids === undefined || (pids.path ?? "") !== "");
    this.#parts = { ...parts, namespace: request.namespace };
    this.#deps = deps;
    this.#execs = new Execs({
      containerId: request.id,
      namespace: request.namespace,
      executor: parts.executor,
      events: deps.events,
      log: deps.log,
    });
    this.#stopWatchingOom = parts.cgroup.watchOom(() => this.#reportOom());
    parts.executor.init.exited
      .then((exit) => this.#initExited(exit))
      .catch((error: unknown) => deps.log.error({ err: error, id: this.id }, "handling an exit"));
  }

  /** Brings a container to "created" and publishes TaskCreate. On failure nothing of it is left. */
  static async create(request: CreateOptions, deps: ContainerDependencies): Promise<Container> {
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
      const container = new Container(request, selection, init, { spec, cgroup, rootfs, executor }, deps);
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

  /** @throws TandemError not_found */
  process(execId: string): TaskProcess {
    if (execId === "") return this.init;
    return this.#execs.get(execId);
  }

  get cgroups(): readonly string[] {
    return this.#parts.cgroup.dirs;
  }

  /** Whether the pid is one that the executor waits for. */
  awaits(pid: number): boolean {
    return this.init.pid === pid || this.#execs.all.some((exec) => exec.pid === pid);
  }

  get isStopped(): boolean {
    return this.init.status === "stopped";
  }

  start(execId: string): Promise<number> {
    return this.#serialised(async () => {
      const process = this.process(execId);
      assertCan("start", process.status, this.#name(execId));
      if (execId !== "") return await this.#startExec(execId);
      const started = process.start();
      // The exit handler waits for this: TaskExit never overtakes TaskStart.
      this.#starting = started.then(
        () => this.#deps.events.publish({ topic: "/tasks/start", containerId: this.id, pid: process.pid }),
        () => undefined,
      );
      await started;
      recordPid(this.bundle, process.pid);
      await this.#starting;
      return process.pid;
    });
  }

  checkpoint(request: CheckpointRequest): Promise<void> {
    return this.#serialised(async () => {
      assertCan("checkpoint", this.init.status, this.#name(""));
      await this.#parts.executor.checkpoint(request);
    });
  }

  addExec(execId: string, spec: SpecProcess, paths: StdioPaths): Promise<void> {
    return this.#serialised(async () => {
      assertCan("exec", this.init.status, this.#name(""));
      this.#execs.add(execId, spec, paths);
    });
  }

  kill(execId: string, signal: number, all: boolean): Promise<void> {
    return this.#serialised(async () => {
      const process = this.process(execId);
      if (process.status === "stopped") {
        throw new TandemError("not_found", `${this.#name(execId)}: process already finished`);
      }
      if (execId !== "" && process.pid === 0) {
        throw new TandemError("failed_precondition", `${this.#name(execId)}: not started`);
      }
      if (all && execId === "") this.#parts.cgroup.kill(signal);
      else process.kill(signal);
      // A frozen process dies only once it is thawed.
      if (signal === SIGKILL && this.init.status === "paused") this.#parts.cgroup.thaw();
    });
  }

  pause(): Promise<void> {
    return this.#serialised(async () => {
      assertCan("pause", this.init.status, this.#name(""));
      this.#parts.cgroup.freeze();
      this.init.status = "paused";
      this.#deps.events.publish({ topic: "/tasks/paused", containerId: this.id });
    });
  }

  resume(): Promise<void> {
    return this.#serialised(async () => {
      assertCan("resume", this.init.status, this.#name(""));
      this.#parts.cgroup.thaw();
      this.init.status = "running";
      this.#deps.events.publish({ topic: "/tasks/resumed", containerId: this.id });
    });
  }

  update(resources: LinuxResources): Promise<void> {
    return this.#serialised(async () => {
      assertCan("update", this.init.status, this.#name(""));
      await this.#parts.cgroup.update(resources);
    });
  }

  /** Host pids, each with the exec that it is, if it is one. Never empty while the task exists (shim-protocol §1.8). */
  pids(): readonly { readonly pid: number; readonly execId: string }[] {
    const execs = new Map(this.#execs.all.map((exec) => [exec.pid, exec.execId]));
    const pids = this.isStopped ? [] : this.#parts.cgroup.pids();
    const all = pids.length === 0 ? [this.init.pid] : pids;
    return all.map((pid) => ({ pid, execId: execs.get(pid) ?? "" }));
  }

  stats(): { readonly typeUrl: string; readonly value: Uint8Array } {
    if (this.isStopped) throw new TandemError("not_found", `container ${this.id}: not running`);
    return this.#parts.cgroup.stats();
  }

  /** Forgets an exec, or takes down a container that has ended or never ran. */
  delete(execId: string): Promise<{ readonly pid: number; readonly exit: ExitStatus }> {
    return this.#serialised(async () => {
      const process = this.process(execId);
      assertCan("delete", process.status, this.#name(execId));
      return execId === "" ? await this.#deleteInit(process) : await this.#execs.delete(execId);
    });
  }

  async #deleteInit(init: TaskProcess): Promise<{ pid: number; exit: ExitStatus }> {
    if (init.status !== "stopped") init.kill(SIGKILL);
    const exit = await init.wait();
    await this.#release();
    await Promise.all(this.#execs.all.map((exec) => exec.closeStreams()));
    await init.closeStreams();
    await this.#parts.executor.release();
    removeStateFile(this.bundle);
    const pid = init.pid;
    this.#deps.events.publish({ topic: "/tasks/delete", containerId: this.id, id: this.id, pid, exit });
    return { pid, exit };
  }

  async #startExec(execId: string): Promise<number> {
    assertCan("exec", this.init.status, this.#name(""));
    return await this.#execs.start(execId);
  }

  /** The exits of execs come first, then OOM, then init's: each explains the next (shim-protocol §4.2). */
  async #initExited(exit: ExitStatus): Promise<void> {
    await this.#starting;
    const running = this.#execs.all.filter((exec) => exec.status === "running");
    this.#killRest(running.length > 0);
    await Promise.all(running.map((exec) => exec.wait()));
    this.#reportOom();
    this.#stopWatchingOom();
    this.init
      .closeStreams()
      .catch((error: unknown) => this.#deps.log.warn({ err: error }, "closing streams"));
    this.init.stopped(exit);
    this.#deps.events.publish({
      topic: "/tasks/exit",
      containerId: this.id,
      id: this.id,
      pid: this.init.pid,
      exit,
    });
    // Between the exit and the client's Delete there is time for what costs some.
    setImmediate(() => {
      this.#release().catch((error: unknown) =>
        this.#deps.log.error({ err: error, id: this.id }, "cleaning up"),
      );
    });
  }

  /** Without a pid namespace of its own, nothing but the cgroup says what else belongs to the container. */
  #killRest(hasExecs: boolean): void {
    try {
      if (hasExecs || this.#parts.cgroup.pids().length > 0) this.#parts.cgroup.kill(SIGKILL);
    } catch (error) {
      // The client is told of init's end in any case: it waits for that and nothing else.
      this.#deps.log.error({ err: error, id: this.id }, "killing what is left");
    }
  }

  #release(): Promise<void> {
    this.#cleanup ??= takeDown(this.#parts.rootfs, this.#parts.cgroup).catch((error: unknown) => {
      // What was busy may be free when the client asks for its Delete again.
      this.#cleanup = undefined;
      throw error;
    });
    return this.#cleanup;
  }

  #reportOom(): void {
    const kills = this.#parts.cgroup.oomKills();
    if (kills <= this.#oomReported) return;
    this.#oomReported = kills;
    this.#deps.log.warn({ id: this.id, kills }, "out of memory");
    this.#deps.events.publish({ topic: "/tasks/oom", containerId: this.id });
  }

  #name(execId: string): string {
    return execId === "" ? `container ${this.id}` : `exec ${execId} of container ${this.id}`;
  }

  #serialised<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
