import { closeSync, openSync } from "node:fs";
import { locate, type WasmConfig, type Workload } from "../../wasm-host/config.ts";
import type { Stdio } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { OperatorSettings } from "../grant/pod-settings.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import type { CreateRequest, ExecRequest, Executor, ExecutorContainer, ExecutorProcess } from "./executor.ts";
import type { WasmSelection } from "./select.ts";
import { splitEntry } from "./split-entry.ts";
import { startWorkload } from "./start-workload.ts";
import { CodeErrand } from "./wasm-code.ts";
import { toWasmConfig } from "./wasm-config.ts";
import { spawnWasm, type WasmProcess } from "./wasm-process.ts";

export interface WasmExecutorOptions {
  readonly zygote: ZygoteAddress;
  /** What the operator says of grants. */
  readonly operator: OperatorSettings;
  /** Hears what a container is granted before it is made. */
  granted(config: WasmConfig): void;
  /** What select.ts found: where the module is and what form it has. */
  readonly selection: WasmSelection;
  /** Directory of a component's transpiled form; made when it is not there yet. */
  transpile(rootfs: string, signal: AbortSignal): Promise<string>;
  /** Runs the spec's hooks of one kind in the runtime's namespaces. */
  runHooks(kind: "prestart" | "createRuntime" | "poststart" | "poststop", pid: number): Promise<void>;
  /** Hears of what happens after the fact and fails nobody's request: poststop hooks. */
  warn(error: TandemError): void;
}

/** Runs WebAssembly: each container is a fork of the zygote behind two walls, V8's and the kernel's. */
export function createWasmExecutor(options: WasmExecutorOptions): Executor {
  return {
    kind: "wasm",
    async create(request: CreateRequest): Promise<ExecutorContainer> {
      const { selection } = options;
      const transpiled =
        selection.form === "component" ? await options.transpile(request.rootfs, request.signal) : undefined;
      const config = toWasmConfig(request, selection, transpiled, options.operator);
      options.granted(config);
      const { zygote, warn } = options;
      const { signal } = request;
      const stdio = requireStdio(request.stdio, "process.terminal");
      const init = await startWorkload({
        workload: config.workload,
        spawn: () => spawnWasm(zygote, { config, stdio, pidNamespace: "new", signal }),
        transpile: () => options.transpile(request.rootfs, signal),
        warn,
      });
      const errands = [new CodeErrand({ zygote, workload: config.workload, process: init, warn })];
      const runPoststop = (): Promise<void> =>
        options.runHooks("poststop", 0).catch((error: unknown) => options.warn(TandemError.from(error)));
      try {
        await options.runHooks("prestart", init.pid);
        await options.runHooks("createRuntime", init.pid);
      } catch (error) {
        init.kill(SIGKILL);
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
            errands[0]?.started();
            try {
              await options.runHooks("poststart", init.pid);
            } catch (error) {
              // The container is stopped (runtime-spec, runtime.md "Lifecycle" 9); its client deletes it.
              init.kill(SIGKILL);
              await init.exited;
              throw error;
            }
          },
        },
        exec: async (exec) => {
          const { process, workload } = await execWasm(options, request, init, exec);
          errands.push(new CodeErrand({ zygote, workload, process, warn }));
          return process;
        },
        checkpoint: () =>
          Promise.reject(
            new TandemError("unimplemented", "a wasm container cannot be written to a checkpoint"),
          ),
        release: () => {
          released ??= Promise.all(errands.map((errand) => errand.finished())).then(runPoststop);
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
): Promise<{ process: WasmProcess; workload: Workload }> {
  if (options.selection.form === "component") {
    throw new TandemError(
      "unimplemented",
      `exec ${exec.execId}: a component has one entry, exec needs a module`,
    );
  }
  const stdio = requireStdio(exec.stdio, "process.terminal");
  const [program = ""] = exec.process.args ?? [];
  // `#export` alone: of the container's own module.
  const entry = program.startsWith("#") ? { path: "", export: program.slice(1) } : splitEntry(program);
  // User, limits and environment are the exec's own; the mounts and namespaces the container's.
  const spec = { ...request.spec, process: exec.process };
  const base = toWasmConfig({ ...request, spec }, options.selection, undefined, options.operator);
  const own = splitEntry(request.spec.process?.args?.[0] ?? "").path;
  const file = entry.path === "" || entry.path === own ? options.selection.module : { inRootfs: entry.path };
  const [pidNamespace = -1, ...others] = initNamespaces.map((name) =>
    openSync(`/proc/${init.pid}/ns/${name}`, "r"),
  );
  try {
    // It still lives, so the pid was its own when the files were opened and not a later process's.
    init.kill(0);
    const joinNamespaces = others.map((fd) => `/proc/${native.getpid()}/fd/${fd}`);
    const config: WasmConfig = {
      ...base,
      workload: { form: "module", file: locate(file, request.rootfs), export: entry.export },
      isolation: { ...base.isolation, joinNamespaces, unshare: 0, hostname: undefined },
    };
    const spawned = spawnWasm(options.zygote, { config, stdio, pidNamespace, signal: exec.signal });
    return { process: await spawned, workload: config.workload };
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
