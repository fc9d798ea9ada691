import type { LinuxResources } from "../bundle/resources.ts";
import type { Rootfs } from "../bundle/rootfs.ts";
import type { Spec, SpecProcess } from "../bundle/spec.ts";
import { recordPid, removeStateFile } from "../bundle/state-file.ts";
import type { StdioPaths } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { CheckpointRequest, ExecutorContainer, ExitStatus } from "../executor/executor.ts";
import type { Selection } from "../executor/select.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
import { SIGKILL } from "../signals.ts";
import type { EventSink } from "./events.ts";
import { Execs } from "./execs.ts";
import { assertCan } from "./status.ts";
import { takeDown } from "./take-down.ts";
import type { TaskProcess } from "./task-process.ts";

/** What a container is made of once it is created. */
export interface ContainerParts {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly selection: Selection;
  readonly spec: Spec;
  readonly init: TaskProcess;
  readonly cgroup: Cgroup;
  readonly rootfs: Rootfs;
  readonly executor: ExecutorContainer;
}

/** One container from "created" on: its init, its execs, its cgroup and rootfs. Every rule of the Task service's states lives here. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly selection: Selection;
  readonly init: TaskProcess;
  /** Whether its processes outlive their parents in somebody else's pid namespace. */
  readonly sharesPids: boolean;
  readonly #execs: Execs;
  readonly #parts: ContainerParts;
  readonly #events: EventSink;
  readonly #log: Log;
  readonly #stopWatchingOom: () => void;
  #oomReported = 0;
  #starting: Promise<void> = Promise.resolve();
  #cleanup: Promise<void> | undefined;
  /** Mutating requests on one container, one after the other; State, Wait and Stats never queue here. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(parts: ContainerParts, { events, log }: { readonly events: EventSink; readonly log: Log }) {
    const { id, namespace, bundle, selection, spec, init, cgroup, executor } = parts;
    this.id = id;
    this.bundle = bundle;
    this.selection = selection;
    this.init = init;
    const pids = spec.linux?.namespaces?.find(({ type }) => type === "pid");
    this.sharesPids = selection.kind === "linux" && (pids === undefined || (pids.path ?? "") !== "");
    this.#parts = parts;
    this.#events = events;
    this.#log = log;
    this.#execs = new Execs({ containerId: id, namespace, executor, events, log });
    this.#stopWatchingOom = cgroup.watchOom(() => this.#reportOom());
    executor.init.exited
      .then((exit) => this.#initExited(exit))
      .catch((error: unknown) => log.error({ err: error, id }, "handling an exit"));
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
        () => this.#events.publish({ topic: "/tasks/start", containerId: this.id, pid: process.pid }),
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
      this.#events.publish({ topic: "/tasks/paused", containerId: this.id });
    });
  }

  resume(): Promise<void> {
    return this.#serialised(async () => {
      assertCan("resume", this.init.status, this.#name(""));
      this.#parts.cgroup.thaw();
      this.init.status = "running";
      this.#events.publish({ topic: "/tasks/resumed", containerId: this.id });
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
    this.#events.publish({ topic: "/tasks/delete", containerId: this.id, id: this.id, pid, exit });
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
    this.init.closeStreams().catch((error: unknown) => this.#log.warn({ err: error }, "closing streams"));
    this.init.stopped(exit);
    this.#events.publish({
      topic: "/tasks/exit",
      containerId: this.id,
      id: this.id,
      pid: this.init.pid,
      exit,
    });
    // Between the exit and the client's Delete there is time for what costs some.
    setImmediate(() => {
      this.#release().catch((error: unknown) => this.#log.error({ err: error, id: this.id }, "cleaning up"));
    });
  }

  /** Without a pid namespace of its own, nothing but the cgroup says what else belongs to the container. */
  #killRest(hasExecs: boolean): void {
    try {
      if (hasExecs || this.#parts.cgroup.pids().length > 0) this.#parts.cgroup.kill(SIGKILL);
    } catch (error) {
      // The client is told of init's end in any case: it waits for that and nothing else.
      this.#log.error({ err: error, id: this.id }, "killing what is left");
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
    this.#log.warn({ id: this.id, kills }, "out of memory");
    this.#events.publish({ topic: "/tasks/oom", containerId: this.id });
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
