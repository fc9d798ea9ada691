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
    this.#timer = setTimeout(() => this.#send({}), AFTER_START_MS).unref();
  }

  /** Resolves when nothing of the guest's file system is open any more on this account. The guest has exited. */
  finished(): Promise<void> {
    return this.#done;
  }

  #exited(): void {
    clearTimeout(this.#timer);
    const { code, ran } = this.#options.process;
    // Of a component's modules the small ones may have been sent for already; which functions the large ones call is known only now.
    if (ran !== undefined && Object.keys(ran).length > 0) this.#send({ ran });
    else if (code?.wanted === "now" && !this.#sent) this.#send({});
  }

  #send(request: Pick<CompileRequest, "ran">): void {
    this.#sent = true;
    const { zygote, workload, warn } = this.#options;
    const fail = (error: unknown): void => warn(TandemError.from(error, "code of a module"));
    try {
      const modules = openModules(workload);
      // The fork takes milliseconds, and whoever waits for the exit is to hear of it first.
      this.#done = this.#done
        .then(() => new Promise<void>((resolve) => setImmediate(resolve)))
        .then(() => untilRead(sendTo(zygote, request, modules)))
        .catch(fail);
    } catch (error) {
      fail(error);
    }
  }
}

/** A process that optimises modules. Both descriptors are the caller's. */
export interface Compiler {
  readonly pidfd: number;
  /** A pipe that ends when it has read the modules: nothing of theirs is open any more. */
  readonly done: number;
}

/**
 * Has the zygote fork a compiler for the modules of a workload. It works for as long as it takes, whatever becomes of this process.
 * @throws TandemError as `forkFromZygote` does
 */
export function forkCompiler(
  zygote: ZygoteAddress,
  workload: Workload,
  request: Omit<CompileRequest, "component">,
): Compiler {
  return sendTo(zygote, request, openModules(workload));
}

interface OpenModules {
  readonly component?: string;
  readonly files: readonly number[];
}

function openModules(workload: Workload): OpenModules {
  if (workload.form === "component") return { component: workload.transpiled, files: [] };
  return { files: [native.openInRoot(...workload.file)] };
}

/** Closes the modules' files. */
function sendTo(
  zygote: ZygoteAddress,
  request: Omit<CompileRequest, "component">,
  { component, files }: OpenModules,
): Compiler {
  const [done, reading] = native.pipe();
  const message: CompileRequest = { ...request, ...(component === undefined ? {} : { component }) };
  try {
    const { pidfd } = forkFromZygote(zygote, "code", [JSON.stringify(message)], [reading, ...files]);
    return { pidfd, done };
  } catch (error) {
    closeSync(done);
    throw error;
  } finally {
    for (const fd of [reading, ...files]) closeSync(fd);
  }
}

/** Resolves when it has read the modules. @throws TandemError deadline_exceeded: then it is dead */
async function untilRead({ pidfd, done }: Compiler): Promise<void> {
  try {
    if (await hasEnded(done)) return;
    native.pidfdSendSignal(pidfd, SIGKILL);
    throw new TandemError("deadline_exceeded", "the module's file was not read in time");
  } finally {
    closeSync(pidfd);
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
