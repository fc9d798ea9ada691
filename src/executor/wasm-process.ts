import { closeSync, readSync, writeSync } from "node:fs";
import type { StatusLine, WasmConfig } from "../../wasm-host/config.ts";
import { statusFromSignal } from "../../wasm-host/exit.ts";
import { isLimitName } from "../../wasm-host/limits/limit-names.ts";
import { LimitReached } from "../../wasm-host/limits/limit-reached.ts";
import { LONGEST_STATUS_LINE } from "../../wasm-host/status-line.ts";
import type { Stdio } from "../bundle/stdio.ts";
import { type CodeReport, isCodeReport } from "../code/code-report.ts";
import { isRanFunctions, type RanFunctions } from "../code/ran-functions.ts";
import { type ErrorCode, errorCodes, TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import { forkFromZygote, type ZygoteAddress } from "../zygote/client.ts";
import type { ExecutorProcess, ExitStatus } from "./executor.ts";

export interface WasmSpawn {
  readonly config: WasmConfig;
  readonly stdio: Stdio;
  /** As many as config.listeners says. They stay the caller's. */
  readonly listeners?: readonly number[];
  /** One of its own, or the descriptor of the one to be born into. */
  readonly pidNamespace: "new" | number;
  /** Fires when it need not become ready any more. */
  readonly signal: AbortSignal;
}

export interface WasmProcess extends ExecutorProcess {
  /** Whether its modules could have optimised code and have none; undefined where there is none to be had. */
  readonly code: CodeReport | undefined;
  /** Instead of `start`: somebody else, who gets copies of these, has it begin by a byte in `go`, and may signal it. */
  handOver(take: (parts: { readonly pidfd: number; readonly go: number }) => Promise<void>): Promise<void>;
  /** Once it has exited: what code is wanted of, if that was to be seen "afterwards". */
  readonly ran: RanFunctions | undefined;
}

/**
 * Has the zygote fork a process that prepares the workload behind the wall. Its guest runs once it is started.
 *
 * @throws TandemError as `forkFromZygote` does, with what the process said instead of being ready, and deadline_exceeded
 */
export async function spawnWasm(zygote: ZygoteAddress, spawn: WasmSpawn): Promise<WasmProcess> {
  const { config, stdio, listeners = [], pidNamespace, signal } = spawn;
  const [goRead, goWrite] = native.pipe();
  const [statusRead, statusWrite] = native.pipe();
  const fds = [stdio.stdin, stdio.stdout, stdio.stderr, goRead, statusWrite, ...listeners];
  let child: ReturnType<typeof forkFromZygote>;
  try {
    const choice = pidNamespace === "new" ? "new" : String(fds.push(pidNamespace) - 1);
    child = forkFromZygote(zygote, "wasm", [choice, JSON.stringify(config)], fds);
  } catch (error) {
    closeSync(goWrite);
    closeSync(statusRead);
    throw error;
  } finally {
    closeSync(goRead);
    closeSync(statusWrite);
  }
  const wasm = new ForkedWasmProcess(child.pid, child.pidfd, goWrite, statusRead);
  await wasm.untilReady(signal);
  return wasm;
}

class ForkedWasmProcess implements WasmProcess {
  readonly pid: number;
  readonly console = undefined;
  readonly exited: Promise<ExitStatus>;
  readonly #pidfd: number;
  readonly #ready = Promise.withResolvers<void>();
  /** What may be said next: first how the start went, then, once, with what status it ended. */
  #expected: "start" | "exit" | "nothing" = "start";
  #failure = new TandemError("internal", "the wasm process was killed before it was ready");
  #exit: number | undefined;
  #code: CodeReport | undefined;
  #ran: RanFunctions | undefined;
  #go: number;
  #ended = false;

  constructor(pid: number, pidfd: number, go: number, status: number) {
    this.pid = pid;
    this.#pidfd = pidfd;
    this.#go = go;
    const exited = Promise.withResolvers<ExitStatus>();
    this.exited = exited.promise;
    readStatus(status, {
      line: (line) => this.#hear(line),
      end: () => {
        // Closing the pipe is not dying: a guest that has taken the process over must not live on unseen.
        this.#destroy();
        this.#ended = true;
        this.#closeGo();
        this.#ready.reject(this.#failure);
        this.#whenDead((status) => exited.resolve({ status, exitedAt: new Date() }));
      },
    });
  }

  /** A process that has not said how it ends was ended by a signal: the kernel is asked which, once it is dead. */
  #whenDead(tell: (status: number) => void): void {
    if (this.#exit !== undefined) {
      closeSync(this.#pidfd);
      tell(this.#exit);
      return;
    }
    const stop = native.onReadable(this.#pidfd, () => {
      stop();
      const signal = native.pidfdEndingSignal(this.#pidfd) ?? SIGKILL;
      closeSync(this.#pidfd);
      tell(statusFromSignal(signal === 0 ? SIGKILL : signal));
    });
  }

  get code(): CodeReport | undefined {
    return this.#code;
  }

  get ran(): RanFunctions | undefined {
    return this.#ran;
  }

  /** @throws TandemError what it said instead of "ready", or deadline_exceeded; it is dead then. */
  async untilReady(signal: AbortSignal): Promise<void> {
    const abort = (): void => {
      this.#failure = new TandemError("deadline_exceeded", "the wasm process was not ready in time");
      this.#destroy();
    };
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    try {
      await this.#ready.promise;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** What is not expected was written by a guest that has broken out of V8: it could go on for ever, so it ends here. */
  #hear(line: StatusLine | undefined): void {
    const expected = this.#expected;
    this.#expected = "nothing";
    if (line === undefined || expected === "nothing") this.#destroy();
    else if ("exit" in line) {
      this.#exit = line.exit;
      this.#ran = line.ran;
    } else if (expected !== "start") this.#destroy();
    else if ("error" in line) this.#failure = toFailure(line);
    else {
      this.#expected = "exit";
      this.#code = line.code;
      this.#ready.resolve();
    }
  }

  #destroy(): void {
    if (this.#ended) return;
    try {
      native.pidfdSendSignal(this.#pidfd, SIGKILL);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }

  async start(): Promise<void> {
    if (this.#ended) return;
    writeSync(this.#go, "1");
    this.#closeGo();
  }

  async handOver(take: Parameters<WasmProcess["handOver"]>[0]): Promise<void> {
    if (this.#ended) return;
    await take({ pidfd: this.#pidfd, go: this.#go });
    this.#closeGo();
  }

  kill(signal: number): void {
    if (this.#ended) throw new TandemError("not_found", `process ${this.pid}: already finished`);
    native.pidfdSendSignal(this.#pidfd, signal);
  }

  #closeGo(): void {
    if (this.#go >= 0) closeSync(this.#go);
    this.#go = -1;
  }
}

function toFailure({ error, code, limit }: Extract<StatusLine, { readonly error: string }>): TandemError {
  return limit !== undefined ? new LimitReached(limit, error) : new TandemError(toCode(code), error);
}

function toCode(code: string): ErrorCode {
  return errorCodes.find((known) => known === code) ?? "internal";
}

/** The other end is a guest's process and may write anything: what is no status line, or too long for one, is heard as undefined. */
function readStatus(fd: number, on: { line(line: StatusLine | undefined): void; end(): void }): void {
  const chunk = Buffer.alloc(4096);
  let text = "";
  const stop = native.onReadable(fd, () => {
    const length = readSync(fd, chunk, 0, chunk.length, null);
    text += chunk.toString("utf8", 0, length);
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    if (text.length > LONGEST_STATUS_LINE) {
      lines.push(text);
      text = "";
    }
    for (const line of lines) on.line(parseStatus(line));
    if (length > 0) return;
    stop();
    closeSync(fd);
    on.end();
  });
}

function parseStatus(text: string): StatusLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if ("ready" in value)
    return { ready: true, ...("code" in value && isCodeReport(value.code) ? { code: value.code } : {}) };
  if ("exit" in value && typeof value.exit === "number") {
    const ran = "ran" in value && isRanFunctions(value.ran) ? { ran: value.ran } : {};
    return { exit: value.exit & 0xff, ...ran };
  }
  if ("error" in value && typeof value.error === "string") {
    return {
      error: value.error,
      code: "code" in value && typeof value.code === "string" ? value.code : "internal",
      ...("limit" in value && isLimitName(value.limit) ? { limit: value.limit } : {}),
    };
  }
  return undefined;
}
