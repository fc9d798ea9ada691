import { findCriu } from "../criu/find-criu.ts";
import { TandemError } from "../errors.ts";
import type {
  CheckpointRequest,
  CreateRequest,
  ExecRequest,
  Executor,
  ExecutorContainer,
  ExecutorProcess,
} from "./executor.ts";
import { runHooks } from "./hooks.ts";
import type { InitProcess } from "./init-process.ts";
import { createExec, createInit, type LinuxHost } from "./linux-init.ts";
import { unmountShared } from "./shared-mounts.ts";
import { cloneHere } from "./spawn-init.ts";

/** There may be gigabytes to write. */
const CHECKPOINT_TIMEOUT_MS = 600_000;

export type LinuxExecutorOptions = Omit<LinuxHost, "clone">;

/** Runs OCI Linux containers as children of this process. */
export function createLinuxExecutor(options: LinuxExecutorOptions): Executor {
  // A profile is compiled once, for init and for every exec.
  const compiled = new Map<object, ReturnType<LinuxHost["compileSeccomp"]>>();
  const host: LinuxHost = {
    ...options,
    clone: cloneHere,
    compileSeccomp: (profile) => {
      const filter = compiled.get(profile) ?? options.compileSeccomp(profile);
      compiled.set(profile, filter);
      return filter;
    },
  };
  return {
    kind: "linux",
    create: async (request) => {
      const { checkpoint = "" } = request;
      if (checkpoint === "")
        return new LinuxContainer(host, request, startable(request, await createInit(host, request)));
      const { RestoredProcess } = await import("./restored.ts");
      return new LinuxContainer(host, request, new RestoredProcess(request, checkpoint));
    },
  };
}

/** Its start includes the poststart hooks. */
function startable(request: CreateRequest, init: InitProcess): ExecutorProcess {
  return {
    pid: init.pid,
    console: init.console,
    exited: init.exited,
    kill: (signal) => init.kill(signal),
    start: async () => {
      await init.start();
      try {
        await runHooks("poststart", request, init.pid);
      } catch (error) {
        // The container is stopped (runtime-spec, runtime.md "Lifecycle" 9); its client deletes it.
        await init.end();
        throw error;
      }
    },
  };
}

class LinuxContainer implements ExecutorContainer {
  readonly init: ExecutorProcess;
  readonly #host: LinuxHost;
  readonly #request: CreateRequest;
  #released: Promise<void> | undefined;

  constructor(host: LinuxHost, request: CreateRequest, init: ExecutorProcess) {
    this.#host = host;
    this.#request = request;
    this.init = init;
  }

  async exec(request: ExecRequest): Promise<ExecutorProcess> {
    try {
      const { init } = this;
      // Once init is reaped, its number may be another process's; then this throws.
      const confirm = (): void => init.kill(0);
      return await createExec(this.#host, { ...this.#request, pid: init.pid, confirm }, request);
    } catch (error) {
      throw TandemError.from(error, `exec ${request.execId} of container ${this.#request.id}`);
    }
  }

  async checkpoint(request: CheckpointRequest): Promise<void> {
    const { spec, rootfs, cgroup } = this.#request;
    const { checkpoint } = await import("../criu/checkpoint.ts");
    await checkpoint(
      findCriu(undefined, process.env["PATH"]),
      { pid: this.init.pid, rootfs, spec, cgroups: cgroup.dirs },
      {
        imagePath: request.path,
        workPath: request.workPath === "" ? undefined : request.workPath,
        parentPath: "",
        leaveRunning: !request.exit,
        preDump: false,
        tcpEstablished: request.openTcp,
        tcpSkipInFlight: false,
        linkRemap: false,
        externalUnixSockets: request.externalUnixSockets,
        shellJob: request.terminal,
        fileLocks: request.fileLocks,
        autoDedup: false,
        lazyPages: false,
        cgroupsMode: request.cgroupsMode,
        pageServer: undefined,
      },
      AbortSignal.timeout(CHECKPOINT_TIMEOUT_MS),
    );
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #release(): Promise<void> {
    const warn = (error: unknown): void => this.#host.warn(TandemError.from(error));
    await unmountShared(this.#host.executable, this.#request).catch(warn);
    await runHooks("poststop", this.#request, 0).catch(warn);
  }
}
