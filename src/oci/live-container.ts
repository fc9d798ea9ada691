import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { signalAll } from "../isolation/cgroup/processes.ts";
import { type Cgroup, loadCgroup } from "../isolation/cgroup.ts";
import { loadScope } from "../isolation/systemd/scope.ts";
import { SIGKILL } from "../signals.ts";
import { pidsInNamespaceOf } from "./pid-namespace.ts";
import type { ContainerRecord } from "./record.ts";
import { endsWithin, isAlive, openProcess, sendSignal } from "./recorded-process.ts";
import type { Store } from "./store.ts";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** A container as it is now: its record and what the kernel says of it. */
export class LiveContainer {
  readonly store: Store;
  readonly record: ContainerRecord;

  /** @param record what the caller has just saved; read from the store without it */
  constructor(store: Store, id: string, record: ContainerRecord = store.load(id)) {
    this.store = store;
    this.record = record;
  }

  /** @throws TandemError not_found; failed_precondition when it is in none of these states */
  static find(store: Store, id: string, ...allowed: readonly Status[]): LiveContainer {
    const container = new LiveContainer(store, id);
    container.requireStatus(...allowed);
    return container;
  }

  #cgroup: Cgroup | undefined;
  /** It does not come back: a restored container is another. */
  #hasEnded = false;

  /** Looked for when it is first asked for: not every verb wants it. */
  get cgroup(): Cgroup {
    this.#cgroup ??= this.#loadCgroup();
    return this.#cgroup;
  }

  #loadCgroup(): Cgroup {
    const { cgroups, unit, id, spec } = this.record;
    const container = { id, intelRdt: spec.linux?.intelRdt };
    return unit === undefined ? loadCgroup(cgroups, container) : loadScope(cgroups, unit, container);
  }

  /** Every process of it: by its cgroup, or where it has none (rootless), by its own pid namespace. */
  pids(): number[] {
    const { cgroups, pid } = this.record;
    if (cgroups.length > 0) return this.cgroup.pids();
    if (!this.isAlive) return [];
    return this.hasOwnPids ? pidsInNamespaceOf(pid) : [pid];
  }

  /** Whether it has a pid namespace of its own, whose processes end with the first. */
  get hasOwnPids(): boolean {
    const namespaces = this.record.spec.linux?.namespaces ?? [];
    return namespaces.some(({ type, path = "" }) => type === "pid" && path === "");
  }

  /** Signals every process of it. */
  killAll(signal: number): void {
    if (this.record.cgroups.length > 0) this.cgroup.kill(signal);
    else signalAll(this.pids(), signal);
  }

  get isAlive(): boolean {
    this.#hasEnded ||= !isAlive(this.record);
    return !this.#hasEnded;
  }

  get status(): Status {
    const { id, complete } = this.record;
    if (!this.isAlive) return complete ? "stopped" : "creating";
    if (!complete) return "creating";
    if (this.store.isWaitingForStart(id)) return "created";
    return this.cgroup.isFrozen() ? "paused" : "running";
  }

  /** @throws TandemError failed_precondition */
  requireStatus(...allowed: readonly Status[]): void {
    const { status } = this;
    if (allowed.includes(status)) return;
    const text = status === "stopped" ? "container not running" : `is ${status}`;
    throw new TandemError("failed_precondition", `container ${this.record.id}: ${text}`);
  }

  /** @throws TandemError failed_precondition when it has ended */
  kill(signal: number): void {
    if (!this.signalIfAlive(signal))
      throw new TandemError("failed_precondition", `container ${this.record.id}: container not running`);
  }

  /** False when it has ended. */
  signalIfAlive(signal: number): boolean {
    const pidfd = this.#openProcess();
    if (pidfd === undefined) return false;
    try {
      return sendSignal(pidfd, signal);
    } catch (error) {
      throw TandemError.from(error, `container ${this.record.id}`);
    } finally {
      closeSync(pidfd);
    }
  }

  /** Kills it unless it has ended. Resolves when the process is dead, reaped or not. @throws TandemError deadline_exceeded */
  async end(timeoutMs: number): Promise<void> {
    const pidfd = this.#openProcess();
    if (pidfd === undefined) return;
    try {
      sendSignal(pidfd, SIGKILL);
      this.cgroup.thaw();
      if (!(await endsWithin(pidfd, timeoutMs)))
        throw new TandemError("deadline_exceeded", `container ${this.record.id}: does not end`);
    } finally {
      closeSync(pidfd);
    }
  }

  /** A descriptor of its process, or undefined when that has ended. */
  #openProcess(): number | undefined {
    if (this.#hasEnded) return undefined;
    const pidfd = openProcess(this.record);
    this.#hasEnded = pidfd === undefined;
    return pidfd;
  }
}
