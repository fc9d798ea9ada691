import type { Spec, SpecProcess } from "../bundle/spec.ts";
import type { Stdio } from "../bundle/stdio.ts";
import type { Cgroup } from "../isolation/cgroup.ts";

/** How a process ended. `status` is the exit code, or 128 + signal number, or 255 when the kernel would not say. */
export interface ExitStatus {
  readonly status: number;
  readonly exitedAt: Date;
}

/** What every executor needs to bring a container to "created". */
export interface CreateRequest {
  readonly id: string;
  readonly namespace: string;
  /** Absolute path of the bundle directory. */
  readonly bundle: string;
  /** Absolute path of the mounted root file system. */
  readonly rootfs: string;
  readonly spec: Spec;
  /** Exists already, limits set, empty. The executor puts the process into it before it runs anything of the image. */
  readonly cgroup: Cgroup;
  /** Absent when the process has a terminal. */
  readonly stdio: Stdio | undefined;
  readonly signal: AbortSignal;
  /** Directory of a checkpoint to go on from; absent or "": from the beginning. */
  readonly checkpoint?: string;
}

/** How `checkpoint` is to be done (containerd.runc.v1.CheckpointOptions). */
export interface CheckpointRequest {
  /** Directory for the images. */
  readonly path: string;
  readonly workPath: string;
  /** Whether the container ends by it. */
  readonly exit: boolean;
  readonly openTcp: boolean;
  readonly externalUnixSockets: boolean;
  readonly terminal: boolean;
  readonly fileLocks: boolean;
  readonly cgroupsMode: string;
}

export interface ExecRequest {
  readonly execId: string;
  readonly process: SpecProcess;
  readonly stdio: Stdio | undefined;
  readonly signal: AbortSignal;
}

/**
 * A process that an executor made: a container's init, or an exec in it.
 *
 * `exited` MUST resolve exactly once, also when the shim itself killed the process, and MUST NOT reject.
 */
export interface ExecutorProcess {
  /** Pid in the shim's pid namespace. Valid from creation on, when the namespaces at /proc/<pid>/ns exist; from a checkpoint, from the start on. */
  readonly pid: number;
  /** The master side of the terminal; undefined without one. Closed by whoever reads it. From a checkpoint, after the start. */
  readonly console: number | undefined;
  readonly exited: Promise<ExitStatus>;
  /** Lets the created process run the user's program. MUST reject with the reason when it cannot be executed. */
  start(): Promise<void>;
  /** Sends a signal by pidfd. MUST throw `not_found` once the process has exited. */
  kill(signal: number): void;
}

export interface ExecutorContainer {
  readonly init: ExecutorProcess;
  /** Creates and starts another process in the container. `unimplemented` where the workload cannot have one. */
  exec(request: ExecRequest): Promise<ExecutorProcess>;
  /** Writes it to disk. `unimplemented` where that cannot be done, or nobody is there to do it. */
  checkpoint(request: CheckpointRequest): Promise<void>;
  /** Runs after init has exited: poststop hooks, leases. MUST be idempotent. */
  release(): Promise<void>;
}

/** Runs one kind of workload. Chosen once per container, in `select.ts`. */
export interface Executor {
  readonly kind: "linux" | "wasm";
  /**
   * Brings the container up to, not including, the user's program.
   * On failure nothing of it is left: no process, no mount, no file; the cgroup is the caller's.
   */
  create(request: CreateRequest): Promise<ExecutorContainer>;
}
