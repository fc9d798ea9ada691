import { closeSync } from "node:fs";
import type { Workload } from "../../wasm-host/config.ts";
import type { CompileRequest } from "../code/compile-request.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import { forkFromZygote, type ZygoteAddress } from "../zygote/client.ts";
import type { WasmProcess } from "./wasm-process.ts";

/** What starts needs the cores more than its successors do. */
const AFTER_START_MS = 50;

/** To read a module of 64 MB from a slow disk, at the lowest priority. */
const READ_TIMEOUT_MS = 5_000;

export interface CodeErrandOptions {
  readonly zygote: ZygoteAddress;
  readonly workload: Workload;
  readonly process: WasmProcess;
  /** Hears of what fails; nobody waits for it. */
  warn(error: TandemError): void;
}

/**
 * Sees to it that the next start of a workload finds optimised code, when this one has found none: soon after the start, or, when it
 * first had to be seen which functions run, at the end.
 */
export class CodeErrand {
  readonly #options: CodeErrandOptions;
  #timer: NodeJS.Timeout | undefined;
  #sent = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: CodeErrandOptions) {
    this.#options = options;
    const { process, warn } = options;
    const damaged = process.code?.damaged;
    if (damaged !== undefined) warn(new TandemError("failed_precondition", damaged));
    // Before anybody else hears of the exit and takes the file system away.
    void process.exited.then(() => this.#exited());
  }

  /** The guest runs. */
  started(): void {
    if (this.#options.process.code?.wanted !== "now") return;
    this.#timer = setTimeout(() => this.#send(), AFTER_START_MS).unref();
  }

  /** Resolves when nothing of the guest's file system is open any more on this account. The guest has exited. */
  finished(): Promise<void> {
    return this.#done;
  }

  #exited(): void {
    clearTimeout(this.#timer);
    const { code, ran } = this.#options.process;
    const worthwhile = code?.wanted === "now" || Object.keys(ran ?? {}).length > 0;
    if (worthwhile) this.#send();
  }

  #send(): void {
    if (this.#sent) return;
    this.#sent = true;
    const { zygote, workload, process, warn } = this.#options;
    const fail = (error: unknown): void => warn(TandemError.from(error, "code of a module"));
    try {
      const files = workload.form === "module" ? [native.openInRoot(...workload.file)] : [];
      const request: CompileRequest = {
        ...(workload.form === "component" ? { component: workload.transpiled } : {}),
        ...(process.ran === undefined ? {} : { ran: process.ran }),
      };
      // The fork takes milliseconds, and whoever waits for the exit is to hear of it first.
      this.#done = new Promise<void>((resolve) => setImmediate(resolve))
        .then(() => requestCode(zygote, request, files))
        .catch(fail);
    } catch (error) {
      fail(error);
    }
  }
}

/**
 * Has the zygote fork a compiler for modules that are open, which this function closes. Resolves when it has read them; it works on for as
 * long as it takes, whatever becomes of this process.
 *
 * @throws TandemError as `forkFromZygote` does, or deadline_exceeded: then there is no compiler any more
 */
export async function requestCode(
  zygote: ZygoteAddress,
  request: CompileRequest,
  files: readonly number[],
): Promise<void> {
  const [done, reading] = native.pipe();
  let child: ReturnType<typeof forkFromZygote>;
  try {
    child = forkFromZygote(zygote, "code", [JSON.stringify(request)], [reading, ...files]);
  } catch (error) {
    closeSync(done);
    throw error;
  } finally {
    for (const fd of [reading, ...files]) closeSync(fd);
  }
  try {
    if (!(await hasEnded(done))) {
      native.pidfdSendSignal(child.pidfd, SIGKILL);
      throw new TandemError("deadline_exceeded", "the module's file was not read in time");
    }
  } finally {
    closeSync(child.pidfd);
  }
}

/** Whether the other end was closed in time. Owns this one. */
function hasEnded(pipe: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const end = (inTime: boolean): void => {
    clearTimeout(timer);
    stop();
    closeSync(pipe);
    resolve(inTime);
  };
  const timer = setTimeout(() => end(false), READ_TIMEOUT_MS);
  const stop = native.onReadable(pipe, () => end(true));
  return promise;
}
