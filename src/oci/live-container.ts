import { closeSync, readFileSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { signalAll } from "../isolation/cgroup/processes.ts";
import { type Cgroup, loadCgroup } from "../isolation/cgroup.ts";
import { loadScope } from "../isolation/systemd/scope.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import { pidsInNamespaceOf } from "./pid-namespace.ts";
import type { ContainerRecord, Store } from "./store.ts";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** State and start time of a process (proc_pid_stat(5), fields 3 and 22); undefined when there is none. */
function readStat(pid: number): { readonly state: string; readonly startTime: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name, field 2, may hold blanks and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
      return undefined; // it has ended
    throw TandemError.from(error, `process ${pid}`);
  }
}

export function startTimeOf(pid: number): string {
  return readStat(pid)?.startTime ?? "";
}

/** A container as it is now: its record and what the kernel says of it. */
export class LiveContainer {
  readonly store: Store;
  readonly record: ContainerRecord;

  /** @param record what the caller has just saved; read from the store without it */
  constructor(store: Store, id: string, record: ContainerRecord = store.load(id)) {
    this.store = store;
    this.record = record;
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
    this.#hasEnded ||= !this.#lives();
    return !this.#hasEnded;
  }

  #lives(): boolean {
    const { pid, startTime } = this.record;
    if (pid === 0) return false;
    const stat = readStat(pid);
    return stat !== undefined && stat.startTime === startTime && stat.state !== "Z" && stat.state !== "X";
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
    const { id } = this.record;
    const pidfd = this.#openProcess();
    try {
      if (pidfd === undefined || !sendSignal(pidfd, signal))
        throw new TandemError("failed_precondition", `container ${id}: container not running`);
    } catch (error) {
      throw error instanceof TandemError ? error : TandemError.from(error, `container ${id}`);
    } finally {
      if (pidfd !== undefined) closeSync(pidfd);
    }
  }

  /** Kills it unless it has ended. Resolves when the process is dead, reaped or not. @throws TandemError deadline_exceeded */
  async end(timeoutMs: number): Promise<void> {
    const pidfd = this.#openProcess();
    if (pidfd === undefined) return;
    try {
      sendSignal(pidfd, SIGKILL);
      this.cgroup.thaw();
      if (!(await becomesReadable(pidfd, timeoutMs)))
        throw new TandemError("deadline_exceeded", `container ${this.record.id}: does not end`);
    } finally {
      closeSync(pidfd);
    }
  }

  /** A descriptor of its process, or undefined when that has ended. */
  #openProcess(): number | undefined {
    if (this.#hasEnded || this.record.pid === 0) return undefined;
    let pidfd: number;
    try {
      pidfd = native.pidfdOpen(this.record.pid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return undefined;
      throw TandemError.from(error, `container ${this.record.id}`);
    }
    // Its start time after it is open: the number cannot be another's from then on.
    if (this.isAlive) return pidfd;
    closeSync(pidfd);
    return undefined;
  }
}

/** False when the process is there no more. */
function sendSignal(pidfd: number, signal: number): boolean {
  try {
    native.pidfdSendSignal(pidfd, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

/** Whether it becomes so in time; a pidfd does when its process has ended. */
function becomesReadable(fd: number, timeoutMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const settle = (inTime: boolean): void => {
    clearTimeout(timer);
    stop();
    resolve(inTime);
  };
  const timer = setTimeout(() => settle(false), timeoutMs);
  const stop = native.onReadable(fd, () => settle(true));
  return promise;
}
