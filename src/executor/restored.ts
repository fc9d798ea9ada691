import { spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { findCriu } from "../criu/find-criu.ts";
import { restore } from "../criu/restore.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import type { CreateRequest, ExecutorProcess, ExitStatus } from "./executor.ts";
import { runHooks } from "./hooks.ts";

/** A checkpoint may have gigabytes to read. */
const RESTORE_TIMEOUT_MS = 600_000;

/** The init of a container that is to come out of a checkpoint: nothing until its start, then a child of this process. */
export class RestoredProcess implements ExecutorProcess {
  pid = 0;
  console: number | undefined;
  readonly exited: Promise<ExitStatus>;
  readonly #request: CreateRequest;
  readonly #checkpoint: string;
  readonly #resolve: (exit: ExitStatus) => void;
  #streams: number[] = [];
  #pidfd = -1;
  #ended = false;

  constructor(request: CreateRequest, checkpoint: string) {
    this.#request = request;
    this.#checkpoint = checkpoint;
    const { stdio } = request;
    // Whoever created us closes theirs at once; ours are for the start.
    if (stdio !== undefined)
      this.#streams = [
        reopen(stdio.stdin, constants.O_RDONLY),
        reopen(stdio.stdout, constants.O_WRONLY),
        reopen(stdio.stderr, constants.O_WRONLY),
      ];
    const { promise, resolve } = Promise.withResolvers<ExitStatus>();
    this.exited = promise;
    this.#resolve = resolve;
  }

  async start(): Promise<void> {
    try {
      this.pid = await this.#restore();
      await this.#request.cgroup.settle();
      this.#closeStreams();
      this.#watch();
    } catch (error) {
      this.#request.cgroup.kill(SIGKILL);
      this.#end(255);
      throw error;
    }
  }

  kill(signal: number): void {
    if (this.#ended) throw new TandemError("not_found", `process ${this.pid}: already finished`);
    if (this.#pidfd >= 0) native.pidfdSendSignal(this.#pidfd, signal);
    else if (signal === SIGKILL) this.#end(128 + SIGKILL);
  }

  async #restore(): Promise<number> {
    const { spec, rootfs, bundle, cgroup } = this.#request;
    const criu = findCriu(undefined, process.env["PATH"]);
    let ended: Promise<void> = Promise.resolve();
    const streams = this.#streams.length > 0 ? this.#streams : (["ignore", "ignore", "ignore"] as const);
    const pid = await restore(
      { spec, rootfs, directory: bundle },
      {
        imagePath: this.#checkpoint,
        workPath: undefined,
        tcpEstablished: true,
        externalUnixSockets: true,
        shellJob: false,
        fileLocks: true,
        autoDedup: false,
        lazyPages: false,
        cgroupsMode: "",
        lsmProfile: undefined,
        lsmMountContext: undefined,
      },
      {
        execute: async (fds) => {
          // A sibling of what it restores: both are children of this process.
          const child = spawn(criu, ["swrk", "3"], { stdio: [...streams, ...fds] });
          const spawned = Promise.withResolvers<void>();
          ended = new Promise((resolve) => child.once("exit", () => resolve()));
          child
            .once("spawn", () => spawned.resolve())
            .once("error", (error) => spawned.reject(TandemError.from(error, criu)));
          await spawned.promise;
          return { pid: child.pid ?? 0 };
        },
        enterCgroup: (criuPid) => cgroup.add(criuPid),
        onNamespaces: async (initPid) => {
          await runHooks("prestart", this.#request, initPid);
          await runHooks("createRuntime", this.#request, initPid);
        },
        onTerminal: (master) => {
          this.console = master;
        },
      },
      AbortSignal.timeout(RESTORE_TIMEOUT_MS),
    );
    await ended;
    return pid;
  }

  #watch(): void {
    const pidfd = native.pidfdOpen(this.pid);
    this.#pidfd = pidfd;
    const stop = native.onReadable(pidfd, () => {
      const status = this.#status(pidfd);
      if (status === undefined) return;
      stop();
      this.#pidfd = -1;
      closeSync(pidfd);
      this.#end(status);
    });
  }

  #status(pidfd: number): number | undefined {
    try {
      return native.waitPidfd(pidfd)?.status;
    } catch {
      // ECHILD: somebody else reaped it. It is over, and the kernel will not say how.
      return 255;
    }
  }

  #closeStreams(): void {
    for (const fd of this.#streams.splice(0)) closeSync(fd);
  }

  #end(status: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#closeStreams();
    this.#resolve({ status, exitedAt: new Date() });
  }
}

/** Another description of the same FIFO; O_NONBLOCK so that nobody is waited for. */
function reopen(fd: number, access: number): number {
  return openSync(`/proc/self/fd/${fd}`, access | constants.O_NONBLOCK);
}
