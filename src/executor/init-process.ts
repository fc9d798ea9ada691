import { closeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import type { ExecutorProcess, ExitStatus } from "./executor.ts";
import { type InitSocket, toInitError } from "./init-socket.ts";

const SIGKILL = 9;

/** A process that container-init becomes or became. */
export class InitProcess implements ExecutorProcess {
  readonly pid: number;
  readonly exited: Promise<ExitStatus>;
  console: number | undefined;
  readonly #pidfd: number;
  readonly #socket: InitSocket;
  readonly #onListener: (fd: number) => void;
  #ended = false;
  #started = false;

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
    const stop = native.onReadable(this.#pidfd, () => {
      const status = this.#status();
      if (status === undefined) return;
      stop();
      this.#ended = true;
      closeSync(this.#pidfd);
      resolve({ status, exitedAt: new Date() });
    });
  }

  /** Hands over the plan and leads the dialogue to "created". */
  async create(
    plan: { readonly fds: readonly number[]; readonly signal: AbortSignal },
    runtimeHooks: () => Promise<void>,
  ): Promise<void> {
    this.#socket.send("plan", plan.fds);
    for (;;) {
      const message = await this.#socket.receive(plan.signal);
      switch (message.kind) {
        case "runtimeHooks":
          await runtimeHooks();
          this.#socket.send("proceed");
          break;
        case "listener":
          this.#forward(message.fd);
          break;
        case "created":
          this.console = message.console;
          return;
        case "failed":
          throw toInitError(message);
        case "end":
          throw new TandemError("internal", `container-init ${this.pid} was killed before it was ready`);
      }
    }
  }

  async start(): Promise<void> {
    if (this.#ended) throw new TandemError("failed_precondition", `process ${this.pid}: already finished`);
    this.#started = true;
    try {
      this.#socket.send("start");
      for (;;) {
        const message = await this.#socket.receive();
        if (message.kind === "failed") throw toInitError(message);
        if (message.kind === "listener") this.#forward(message.fd);
        // Executed, or killed: that is for `exited` to say.
        if (message.kind === "end") return;
      }
    } finally {
      this.#socket.close();
    }
  }

  kill(signal: number): void {
    if (this.#ended) throw new TandemError("not_found", `process ${this.pid}: already finished`);
    try {
      native.pidfdSendSignal(this.#pidfd, signal);
    } catch (error) {
      throw TandemError.from(error, `process ${this.pid}`);
    }
  }

  /** Ends what never got to "created". */
  async destroy(): Promise<void> {
    if (!this.#ended) this.kill(SIGKILL);
    await this.exited;
    this.#socket.close();
    if (this.console !== undefined) closeSync(this.console);
  }

  /** Closes the socket of a process that ended without ever being started; `start` closes its own. */
  closeUnstarted(): void {
    if (!this.#started) this.#socket.close();
  }

  #forward(fd: number): void {
    try {
      this.#onListener(fd);
      this.#socket.send("proceed");
    } finally {
      closeSync(fd);
    }
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
