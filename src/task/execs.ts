import type { SpecProcess } from "../bundle/spec.ts";
import { openStdio, type StdioPaths } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { ExecutorContainer, ExecutorProcess, ExitStatus } from "../executor/executor.ts";
import type { Log } from "../log.ts";
import type { EventSink } from "./events.ts";
import { discardProcess } from "./take-down.ts";
import { TaskProcess } from "./task-process.ts";

const EXEC_TIMEOUT_MS = 120_000;
/** "Unknown", as containerd has it, for a process that never came to be (shim-protocol §3.1). */
const NEVER_RAN = 255;

export interface ExecsOptions {
  readonly containerId: string;
  readonly namespace: string;
  readonly executor: ExecutorContainer;
  readonly events: EventSink;
  readonly log: Log;
}

/** The execs of one container, from Exec to Delete. When each may be asked for what is the container's to say. */
export class Execs {
  readonly #options: ExecsOptions;
  readonly #entries = new Map<string, { readonly process: TaskProcess; readonly spec: SpecProcess }>();

  constructor(options: ExecsOptions) {
    this.#options = options;
  }

  get all(): readonly TaskProcess[] {
    return [...this.#entries.values()].map(({ process }) => process);
  }

  /** @throws TandemError not_found */
  get(execId: string): TaskProcess {
    return this.#entry(execId).process;
  }

  /** @throws TandemError already_exists */
  add(execId: string, spec: SpecProcess, paths: StdioPaths): void {
    const { containerId, events } = this.#options;
    if (this.#entries.has(execId)) {
      throw new TandemError("already_exists", `exec ${execId} of container ${containerId}: already exists`);
    }
    this.#entries.set(execId, { process: new TaskProcess(execId, paths), spec });
    events.publish({ topic: "/tasks/exec-added", containerId, execId });
  }

  /** Returns its pid. When it cannot be started it counts as ended, and must still be deleted (shim-protocol §3.1). */
  async start(execId: string): Promise<number> {
    const { containerId, namespace, executor, events, log } = this.#options;
    const { process, spec } = this.#entry(execId);
    const stdio = process.paths.terminal
      ? undefined
      : openStdio(process.paths, { id: containerId, namespace });
    let made: ExecutorProcess | undefined;
    try {
      const signal = AbortSignal.timeout(EXEC_TIMEOUT_MS);
      made = await executor.exec({ execId, process: spec, stdio: stdio?.fds, signal });
      process.attach(made, stdio);
      await process.start();
    } catch (error) {
      if (made !== undefined) await discardProcess(made);
      await stdio?.close();
      process.stopped({ status: NEVER_RAN, exitedAt: new Date() });
      throw error;
    }
    events.publish({ topic: "/tasks/exec-started", containerId, execId, pid: process.pid });
    made.exited
      .then((exit) => this.#exited(process, exit))
      .catch((error: unknown) => log.error({ err: error, id: containerId }, "handling an exit"));
    return process.pid;
  }

  async delete(execId: string): Promise<{ readonly pid: number; readonly exit: ExitStatus }> {
    const { process } = this.#entry(execId);
    await process.closeStreams();
    this.#entries.delete(execId);
    return { pid: process.pid, exit: process.exit ?? { status: 0, exitedAt: new Date() } };
  }

  #exited(process: TaskProcess, exit: ExitStatus): void {
    const { containerId, events, log } = this.#options;
    process
      .closeStreams()
      .catch((error: unknown) => log.warn({ err: error, execId: process.execId }, "closing streams"));
    process.stopped(exit);
    events.publish({ topic: "/tasks/exit", containerId, id: process.execId, pid: process.pid, exit });
  }

  #entry(execId: string): { readonly process: TaskProcess; readonly spec: SpecProcess } {
    const entry = this.#entries.get(execId);
    if (entry !== undefined) return entry;
    throw new TandemError("not_found", `exec ${execId} of container ${this.#options.containerId}: not found`);
  }
}
