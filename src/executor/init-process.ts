import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import type { ExecutorProcess, ExitStatus } from "./executor.ts";
import { type InitSocket, toInitError } from "./init-socket.ts";

/** A process that container-init becomes or became. */
export class InitProcess implements ExecutorProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  console: number | undefined;
  readonly #pidfd: number;
  readonly #socket: InitSocket;
  readonly #onListener: (fd: number) => void;
  readonly #stopWatching: () => void;
  #ended = false;
  /** Who closes the socket: `create` and `destroy`, then this process's end, then `start`. */
  #phase: "creating" | "created" | "started" = "creating";

  /** Owns the pidfd and the socket from now on. */
  constructor(
    spawned: { readonly pid: number; readonly pidfd: number },
    socket: InitSocket,
    onListener: (fd: number) => void,
  ) {
    this.pid = spawned.pid;
    this.#pidfd = spawned.pidfd;
    this.#socket = socket;
    this.#onListener = onListener;
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    this.exited = promise;
    this.#stopWatching = native.onReadable(this.#pidfd, () => {
      const status = this.#status();
      if (status === undefined) return;
      this.#stopWatching();
      this.#ended = true;
      closeSync(this.#pidfd);
      if (this.#phase === "created") this.#socket.close();
      resolve({ status, exitedAt: new Date() });
    });
  }

  /**
   * Resolves when container-init, alone in a new user namespace, lets its maker write its maps.
   *
   * @throws TandemError deadline_exceeded when `signal` fires first
   */
  async becomeMappable(signal: AbortSignal): Promise<void> {
    const message = await this.#socket.receive(signal);
    if (message.kind === "failed") throw toInitError(message);
    if (message.kind !== "mappable")
      throw new TandemError("internal", `container-init ${this.pid} was killed before it was mapped`);
  }

  /** Hands over the plan ahead of `create`: for a process that first had to be moved. */
  sendPlan(fds: readonly number[]): void {
    this.#socket.send("plan", fds);
  }

  /** Hands over the plan, unless it was there before the process, and leads the dialogue to "created". */
  async create(
    plan: {
      readonly fds: readonly number[] | undefined;
      readonly signal: AbortSignal;
      /** The plan lets it go on by itself: whatever it has to say after "created" may be there already. */
      readonly startsItself?: boolean;
    },
    runtimeHooks: () => Promise<void>,
  ): Promise<void> {
    if (plan.fds !== undefined) this.#socket.send("plan", plan.fds);
    for (;;) {
      const message = await this.#socket.receive(plan.signal);
      switch (message.kind) {
        case "runtimeHooks":
          await runtimeHooks();
          this.#socket.send("proceed");
          break;
        case "listener":
          forward(message.fd, this.#socket, this.#onListener);
          break;
        case "created":
          this.console = message.console;
          this.#phase = plan.startsItself === true ? "started" : "created";
          return;
        case "failed":
          throw toInitError(message);
        case "mappable":
        case "end":
          throw new TandemError("internal", `container-init ${this.pid} was killed before it was ready`);
      }
    }
  }

  /** Starts it, unless it does that itself, and resolves when its program runs or it has ended. */
  async start(): Promise<void> {
    if (this.#phase !== "started") {
      if (this.#ended) throw new TandemError("failed_precondition", `process ${this.pid}: already finished`);
      this.#phase = "started";
      this.#socket.send("start");
    }
    await followStart(this.#socket, this.#onListener);
  }

  kill(signal: number): void {
    if (this.#ended) throw new TandemError("not_found", `process ${this.pid}: already finished`);
    try {
      native.pidfdSendSignal(this.#pidfd, signal);
    } catch (error) {
      throw TandemError.from(error, `process ${this.pid}`);
    }
  }

  /** Lets go of a created process, which goes on: somebody else starts it and waits for it. `exited` then never resolves. */
  leave(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stopWatching();
    closeSync(this.#pidfd);
    this.#socket.close();
  }

  /** Kills it, unless it has ended. */
  async end(): Promise<void> {
    try {
      if (!this.#ended) this.kill(SIGKILL);
    } catch (error) {
      // It has ended by itself, and somebody else has reaped it already.
      if (!(error instanceof TandemError) || error.code !== "not_found") throw error;
    }
    await this.exited;
  }

  /** Ends what never got to "created". */
  async destroy(): Promise<void> {
    await this.end();
    this.#socket.close();
    if (this.console !== undefined) closeSync(this.console);
  }

  #status(): number | undefined {
    try {
      return native.waitPidfd(this.#pidfd)?.status;
    } catch {
      // ECHILD: somebody else reaped it. It is over, and the kernel will not say how.
      return 255;
    }
  }
}

/**
 * Leads the dialogue from "start" to the program, and closes the socket.
 *
 * @throws TandemError with container-init's own words when the program cannot be executed
 */
export async function followStart(socket: InitSocket, onListener: (fd: number) => void): Promise<void> {
  try {
    for (;;) {
      const message = await socket.receive();
      if (message.kind === "failed") throw toInitError(message);
      if (message.kind === "listener") forward(message.fd, socket, onListener);
      // Executed, or killed: whoever waits for the process will see which.
      if (message.kind === "end") return;
    }
  } finally {
    socket.close();
  }
}

/** The descriptor of a seccomp filter goes to its agent; container-init waits for that. */
function forward(fd: number, socket: InitSocket, onListener: (fd: number) => void): void {
  try {
    onListener(fd);
    socket.send("proceed");
  } finally {
    closeSync(fd);
  }
}
