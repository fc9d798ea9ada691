import type { OpenStdio, StdioPaths } from "../bundle/stdio.ts";
import type { Terminal } from "../bundle/terminal.ts";
import { openTerminal } from "../bundle/terminal.ts";
import { TandemError } from "../errors.ts";
import type { ExecutorProcess, ExitStatus } from "../executor/executor.ts";
import type { Status } from "./status.ts";

/** One process as containerd knows it: a container's init (execId "") or an exec. Knows nothing of executors and events. */
export class TaskProcess {
  readonly execId: string;
  readonly paths: StdioPaths;
  status: Status = "created";
  exit: ExitStatus | undefined;
  readonly #waiters: ((exit: ExitStatus) => void)[] = [];
  #process: ExecutorProcess | undefined;
  #stdio: OpenStdio | undefined;
  #terminal: Terminal | undefined;
  #stdinClosed = false;

  constructor(execId: string, paths: StdioPaths) {
    this.execId = execId;
    this.paths = paths;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** The streams were opened before the process existed; the terminal comes with it. */
  attach(process: ExecutorProcess, stdio: OpenStdio | undefined): void {
    this.#process = process;
    this.#stdio = stdio;
    stdio?.handedOver();
    this.#openTerminal();
    // CloseIO may have come before the process (shim-protocol §10, no. 46).
    if (this.#stdinClosed) this.closeStdin();
  }

  async start(): Promise<void> {
    await this.#process?.start();
    // Out of a checkpoint the terminal comes only now.
    this.#openTerminal();
    // It may have ended already: an exit is never undone.
    if (this.status === "created") this.status = "running";
  }

  #openTerminal(): void {
    const master = this.#process?.console;
    if (master !== undefined && this.#terminal === undefined)
      this.#terminal = openTerminal(master, this.paths);
  }

  /** @throws TandemError not_found when it has ended: that is what containerd's clients take for "already finished". */
  kill(signal: number): void {
    if (this.#process === undefined || this.status === "stopped") {
      throw new TandemError("not_found", `process ${this.execId}: already finished`);
    }
    this.#process.kill(signal);
  }

  resize(width: number, height: number): void {
    this.#terminal?.resize(width, height);
  }

  closeStdin(): void {
    this.#stdinClosed = true;
    this.#stdio?.closeStdin();
    this.#terminal?.closeStdin();
  }

  /** Marks the end. The state flips before anybody who waits is told (shim-protocol §10, no. 21). */
  stopped(exit: ExitStatus): void {
    if (this.exit !== undefined) return;
    this.exit = exit;
    this.status = "stopped";
    for (const resolve of this.#waiters.splice(0)) resolve(exit);
  }

  wait(): Promise<ExitStatus> {
    if (this.exit !== undefined) return Promise.resolve(this.exit);
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async closeStreams(): Promise<void> {
    await Promise.all([this.#stdio?.close(), this.#terminal?.close()]);
  }
}
