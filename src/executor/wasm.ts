import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { StatusLine, WasmConfig } from "../../wasm-host/config.ts";
import { type ErrorCode, errorCodes, TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { forkFromZygote, type ZygoteAddress } from "../zygote/client.ts";
import type { CreateRequest, Executor, ExecutorContainer, ExecutorProcess, ExecRequest, ExitStatus, Stdio } from "./executor.ts";
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
  /** Hears of what happens after the fact and fails nobody's request: poststart and poststop hooks. */
  warn(error: TandemError): void;
}

const KILLED = 137;

/** Runs WebAssembly: each container is a fork of the zygote behind two walls, V8's and the kernel's. */
export function createWasmExecutor(options: WasmExecutorOptions): Executor {
  return {
    kind: "wasm",
    async create(request: CreateRequest): Promise<ExecutorContainer> {
      const { selection } = options;
      const transpiled =
        selection.form === "component" ? await options.transpile(request.rootfs, request.signal) : undefined;
      const config = toWasmConfig(request, selection, transpiled);
      const init = await spawnWasm(options.zygote, config, requireStdio(request.stdio, "process.terminal"), "new");
      const runLate = (kind: "poststart" | "poststop", pid: number): Promise<void> =>
        options.runHooks(kind, pid).catch((error: unknown) => options.warn(TandemError.from(error)));
      try {
        await options.runHooks("prestart", init.pid);
        await options.runHooks("createRuntime", init.pid);
      } catch (error) {
        init.kill(9);
        await init.exited;
        await runLate("poststop", 0);
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
            await runLate("poststart", init.pid);
          },
        },
        exec: (exec) => execWasm(options, request, init, exec),
        release: () => {
          released ??= runLate("poststop", 0);
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
    throw new TandemError("unimplemented", `exec ${exec.execId}: a component has one entry, exec needs a module`);
  }
  const stdio = requireStdio(exec.stdio, "process.terminal");
  const [program = ""] = exec.process.args ?? [];
  const [path = "", entry] = program.split("#", 2);
  // User, limits and environment are the exec's own; the mounts and namespaces the container's.
  const spec = { ...request.spec, process: exec.process };
  const base = toWasmConfig({ ...request, spec }, options.selection, undefined);
  const own = request.spec.process?.args?.[0]?.split("#", 1)[0];
  const file = path === "" || path === own ? options.selection.module : { inRootfs: path };
  const config: WasmConfig = { ...base, workload: { form: "module", file, export: entry } };
  const pidNamespace = openSync(`/proc/${init.pid}/ns/pid`, "r");
  try {
    return await spawnWasm(options.zygote, config, stdio, pidNamespace);
  } finally {
    closeSync(pidNamespace);
  }
}

function requireStdio(stdio: Stdio | undefined, property: string): Stdio {
  if (stdio !== undefined) return stdio;
  throw new TandemError("unimplemented", `${property}: a wasm container has no terminal`);
}

async function spawnWasm(
  zygote: ZygoteAddress,
  config: WasmConfig,
  stdio: Stdio,
  pidNamespace: "new" | number,
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
  await wasm.ready;
  return wasm;
}

class WasmProcess implements ExecutorProcess {
  readonly pid: number;
  readonly console = undefined;
  readonly ready: Promise<void>;
  readonly exited: Promise<ExitStatus>;
  readonly #pidfd: number;
  #go: number;
  #ended = false;

  constructor(pid: number, pidfd: number, go: number, status: number) {
    this.pid = pid;
    this.#pidfd = pidfd;
    this.#go = go;
    const ready = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<ExitStatus>();
    this.ready = ready.promise;
    this.exited = exited.promise;
    let exit: number | undefined;
    let failure: TandemError | undefined;
    readStatus(status, {
      line: (line) => {
        if ("ready" in line) ready.resolve();
        else if ("exit" in line) exit = line.exit;
        else failure = new TandemError(toCode(line.code), line.error);
      },
      end: () => {
        this.#ended = true;
        this.#closeGo();
        closeSync(this.#pidfd);
        ready.reject(failure ?? new TandemError("internal", "the wasm process was killed before it was ready"));
        exited.resolve({ status: exit ?? KILLED, exitedAt: new Date() });
      },
    });
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

/** The other end is a guest's process and may write anything: a line is bounded and what is no status line is dropped. */
function readStatus(fd: number, on: { line(line: StatusLine): void; end(): void }): void {
  const chunk = Buffer.alloc(4096);
  let text = "";
  const stop = native.onReadable(fd, () => {
    const length = readSync(fd, chunk, 0, chunk.length, null);
    text = (text + chunk.toString("utf8", 0, length)).slice(-8192);
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n")) {
      const line = parseStatus(text.slice(0, at));
      text = text.slice(at + 1);
      if (line !== undefined) on.line(line);
    }
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
    return { error: value.error, code: "code" in value && typeof value.code === "string" ? value.code : "internal" };
  }
  return undefined;
}
