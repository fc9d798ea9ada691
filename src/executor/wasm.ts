import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { StatusLine, WasmConfig } from "../../wasm-host/config.ts";
import type { Stdio } from "../bundle/stdio.ts";
import { type ErrorCode, errorCodes, TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { forkFromZygote, type ZygoteAddress } from "../zygote/client.ts";
import type {
  CreateRequest,
  ExecRequest,
  Executor,
  ExecutorContainer,
  ExecutorProcess,
  ExitStatus,
} from "./executor.ts";
import type { WasmSelection } from "./select.ts";
import { toWasmConfig } from "./wasm-config.ts";

export interface WasmExecutorOptions {
  readonly zygote: ZygoteAddress;
  /** What select.ts found: where the module is and what form it has. */
  readonly selection: WasmSelection;
  /** Directory of a component's transpiled form; made when it is not there yet. */
  transpile(rootfs: string, signal: AbortSignal): Promise<string>;
  /** Runs the spec's hooks of one kind in the runtime's namespaces. */
  runHooks(kind: "prestart" | "createRuntime" | "poststart" | "poststop", pid: number): Promise<void>;
  /** Hears of what happens after the fact and fails nobody's request: poststop hooks. */
  warn(error: TandemError): void;
}

const KILLED = 137;
const SIGKILL = 9;

/** Runs WebAssembly: each container is a fork of the zygote behind two walls, V8's and the kernel's. */
export function createWasmExecutor(options: WasmExecutorOptions): Executor {
  return {
    kind: "wasm",
    async create(request: CreateRequest): Promise<ExecutorContainer> {
      const { selection } = options;
      const transpiled =
        selection.form === "component" ? await options.transpile(request.rootfs, request.signal) : undefined;
      const config = toWasmConfig(request, selection, transpiled);
      const init = await spawnWasm(
        options.zygote,
        config,
        requireStdio(request.stdio, "process.terminal"),
        "new",
        request.signal,
      );
      const runPoststop = (): Promise<void> =>
        options.runHooks("poststop", 0).catch((error: unknown) => options.warn(TandemError.from(error)));
      try {
        await options.runHooks("prestart", init.pid);
        await options.runHooks("createRuntime", init.pid);
      } catch (error) {
        init.kill(9);
        await init.exited;
        await runPoststop();
        throw error;
      }
      let released: Promise<void> | undefined;
      return {
        init: {
          pid: init.pid,
          console: init.console,
          exited: init.exited,
          kill: (signal) => init.kill(signal),
          start: async () => {
            await init.start();
            try {
              await options.runHooks("poststart", init.pid);
            } catch (error) {
              // The container is stopped (runtime-spec, runtime.md "Lifecycle" 9); its client deletes it.
              init.kill(9);
              await init.exited;
              throw error;
            }
          },
        },
        exec: (exec) => execWasm(options, request, init, exec),
        checkpoint: () =>
          Promise.reject(
            new TandemError("unimplemented", "a wasm container cannot be written to a checkpoint"),
          ),
        release: () => {
          released ??= runPoststop();
          return released;
        },
      };
    },
  };
}

/** Another run of the same image in the same grant: args[0] names the module or, after `#`, the export. */
async function execWasm(
  options: WasmExecutorOptions,
  request: CreateRequest,
  init: ExecutorProcess,
  exec: ExecRequest,
): Promise<ExecutorProcess> {
  if (options.selection.form === "component") {
    throw new TandemError(
      "unimplemented",
      `exec ${exec.execId}: a component has one entry, exec needs a module`,
    );
  }
  const stdio = requireStdio(exec.stdio, "process.terminal");
  const [program = ""] = exec.process.args ?? [];
  const [path = "", entry] = program.split("#", 2);
  // User, limits and environment are the exec's own; the mounts and namespaces the container's.
  const spec = { ...request.spec, process: exec.process };
  const base = toWasmConfig({ ...request, spec }, options.selection, undefined);
  const own = request.spec.process?.args?.[0]?.split("#", 1)[0];
  const file = path === "" || path === own ? options.selection.module : { inRootfs: path };
  const [pidNamespace = -1, ...others] = initNamespaces.map((name) =>
    openSync(`/proc/${init.pid}/ns/${name}`, "r"),
  );
  try {
    // It still lives, so the pid was its own when the files were opened and not a later process's.
    init.kill(0);
    const joinNamespaces = others.map((fd) => `/proc/${native.getpid()}/fd/${fd}`);
    const config: WasmConfig = {
      ...base,
      workload: { form: "module", file, export: entry },
      isolation: { ...base.isolation, joinNamespaces, unshare: 0, hostname: undefined },
    };
    return await spawnWasm(options.zygote, config, stdio, pidNamespace, exec.signal);
  } finally {
    for (const fd of [pidNamespace, ...others]) closeSync(fd);
  }
}

/** What an exec shares with the container's init; its mounts are made anew, from the same grant. */
const initNamespaces = ["pid", "net", "ipc", "uts", "cgroup"] as const;

function requireStdio(stdio: Stdio | undefined, property: string): Stdio {
  if (stdio !== undefined) return stdio;
  throw new TandemError("unimplemented", `${property}: a wasm container has no terminal`);
}

async function spawnWasm(
  zygote: ZygoteAddress,
  config: WasmConfig,
  stdio: Stdio,
  pidNamespace: "new" | number,
  signal: AbortSignal,
): Promise<ExecutorProcess> {
  const [goRead, goWrite] = native.pipe();
  const [statusRead, statusWrite] = native.pipe();
  const fds = [stdio.stdin, stdio.stdout, stdio.stderr, goRead, statusWrite];
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
  const wasm = new WasmProcess(child.pid, child.pidfd, goWrite, statusRead);
  await wasm.untilReady(signal);
  return wasm;
}

class WasmProcess implements ExecutorProcess {
  readonly pid: number;
  readonly console = undefined;
  readonly exited: Promise<ExitStatus>;
  readonly #pidfd: number;
  readonly #ready = Promise.withResolvers<void>();
  /** What may be said next: first how the start went, then, once, with what status it ended. */
  #expected: "start" | "exit" | "nothing" = "start";
  #failure = new TandemError("internal", "the wasm process was killed before it was ready");
  #exit = KILLED;
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
        closeSync(this.#pidfd);
        this.#ready.reject(this.#failure);
        exited.resolve({ status: this.#exit, exitedAt: new Date() });
      },
    });
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
    else if ("exit" in line) this.#exit = line.exit;
    else if (expected !== "start") this.#destroy();
    else if ("error" in line) this.#failure = new TandemError(toCode(line.code), line.error);
    else {
      this.#expected = "exit";
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

  kill(signal: number): void {
    if (this.#ended) throw new TandemError("not_found", `process ${this.pid}: already finished`);
    native.pidfdSendSignal(this.#pidfd, signal);
  }

  #closeGo(): void {
    if (this.#go >= 0) closeSync(this.#go);
    this.#go = -1;
  }
}

function toCode(code: string): ErrorCode {
  return errorCodes.find((known) => known === code) ?? "internal";
}

/** Longer than any reason for a failure. */
const MAX_LINE = 8192;

/** The other end is a guest's process and may write anything: what is no status line, or too long for one, is heard as undefined. */
function readStatus(fd: number, on: { line(line: StatusLine | undefined): void; end(): void }): void {
  const chunk = Buffer.alloc(4096);
  let text = "";
  const stop = native.onReadable(fd, () => {
    const length = readSync(fd, chunk, 0, chunk.length, null);
    text += chunk.toString("utf8", 0, length);
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    if (text.length > MAX_LINE) {
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
  if ("ready" in value) return { ready: true };
  if ("exit" in value && typeof value.exit === "number") return { exit: value.exit & 0xff };
  if ("error" in value && typeof value.error === "string") {
    return {
      error: value.error,
      code: "code" in value && typeof value.code === "string" ? value.code : "internal",
    };
  }
  return undefined;
}
