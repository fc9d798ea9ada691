import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { patience } from "../../../scripts/private-containerd/patience.ts";
import { CheckpointOptionsSchema } from "../../../src/api/gen/containerd/runc/v1/options_pb.ts";
import type { Descriptor, Mount } from "../../../src/api/gen/containerd/types/types_pb.ts";
import { type Process, Status } from "../../../src/api/gen/containerd/v1/types/task_pb.ts";
import { TandemError } from "../../../src/errors.ts";
import type { ContainerdClient } from "./client.ts";
import { type FifoReader, makeFifos } from "./fifo.ts";
import { processOf, type SpecOptions, specOf } from "./spec.ts";
import { Streams } from "./streams.ts";

const specPrefix = "types.containerd.io/opencontainers/runtime-spec/1/";

/** JSON in an Any, as containerd's typeurl package writes it. */
export function jsonAny(type: "Spec" | "Process" | "LinuxResources", value: unknown): Any {
  return create(AnySchema, { typeUrl: specPrefix + type, value: Buffer.from(JSON.stringify(value)) });
}

export interface ContainerOptions extends SpecOptions {
  readonly id: string;
  readonly runtime: string;
  readonly image: string;
  readonly namespace?: string;
  /** Of the container's record, as CRI and ctr write them. */
  readonly runtimeOptions?: Any;
  /** Instead of the image's snapshot. */
  readonly rootfs?: readonly Pick<Mount, "type" | "source" | "options">[];
  /** Instead of the spec that the other options make. */
  readonly spec?: unknown;
  /** Without stdin unless told, as `ctr run -d` does it. */
  readonly withStdin?: boolean;
}

/** One container and its task, driven through containerd's gRPC API. Disposing of it removes it in whatever state it is. */
export class TestContainer implements AsyncDisposable {
  readonly id: string;
  readonly namespace: string;
  readonly #client: ContainerdClient;
  readonly #options: ContainerOptions;
  readonly #execs: Streams[] = [];
  #streams: Streams | undefined;
  #snapshot = false;
  #made = false;

  constructor(client: ContainerdClient, options: ContainerOptions) {
    this.#client = client;
    this.#options = options;
    this.id = options.id;
    this.namespace = options.namespace ?? client.containerd.namespace;
  }

  get #call(): { namespace: string; timeoutMs: number } {
    return { namespace: this.namespace, timeoutMs: 30_000 * patience };
  }

  get streams(): Streams {
    if (this.#streams === undefined) throw new Error(`${this.id}: not created`);
    return this.#streams;
  }

  get stdout(): FifoReader {
    return this.streams.stdout;
  }

  get stderr(): FifoReader {
    return this.streams.stderr;
  }

  /** The container's record, its snapshot and its FIFOs: everything before the shim comes in. */
  async prepare(): Promise<void> {
    const { runtime, image, spec, runtimeOptions } = this.#options;
    const typed = jsonAny("Spec", spec ?? specOf(this.namespace, this.id, this.#options));
    await this.#client.containers.create(
      {
        container: {
          id: this.id,
          image,
          runtime: { name: runtime, ...(runtimeOptions && { options: runtimeOptions }) },
          spec: typed,
          snapshotter: "overlayfs",
          snapshotKey: this.id,
        },
      },
      this.#call,
    );
    this.#made = true;
    const directory = join(this.#client.containerd.directory, "fifos", this.namespace);
    mkdirSync(directory, { recursive: true });
    this.#streams = new Streams(await makeFifos(join(directory, this.id)));
  }

  async #rootfs(): Promise<readonly Pick<Mount, "type" | "source" | "options">[]> {
    const { rootfs, image, noRootfs } = this.#options;
    if (rootfs !== undefined) return rootfs;
    if (noRootfs === true) return [];
    const parent = await this.#client.chainId(image, this.namespace);
    const prepared = await this.#client.snapshots.prepare(
      { snapshotter: "overlayfs", key: this.id, parent },
      this.#call,
    );
    this.#snapshot = true;
    return prepared.mounts;
  }

  /** Creates the task; returns its pid. */
  async create(): Promise<number> {
    await this.prepare();
    return await this.createTask(await this.#rootfs());
  }

  async createTask(
    rootfs: readonly Pick<Mount, "type" | "source" | "options">[],
    checkpoint?: Descriptor,
  ): Promise<number> {
    const { terminal = false, withStdin = false } = this.#options;
    const { fifos } = this.streams;
    const { pid } = await this.#client.tasks.create(
      {
        containerId: this.id,
        rootfs: rootfs.map(({ type, source, options }) => ({ type, source, options })),
        stdin: withStdin ? fifos.stdin : "",
        stdout: fifos.stdout,
        stderr: terminal ? "" : fifos.stderr,
        terminal,
        ...(checkpoint === undefined ? {} : { checkpoint }),
      },
      this.#call,
    );
    return pid;
  }

  async start(execId = ""): Promise<number> {
    return (await this.#client.tasks.start({ containerId: this.id, execId }, this.#call)).pid;
  }

  /** Creates and starts. */
  async run(): Promise<number> {
    await this.create();
    return await this.start();
  }

  async wait(execId = ""): Promise<number> {
    return (await this.#client.tasks.wait({ containerId: this.id, execId }, this.#call)).exitStatus;
  }

  async state(execId = ""): Promise<Process> {
    const { process } = await this.#client.tasks.get({ containerId: this.id, execId }, this.#call);
    if (process === undefined) throw new Error(`${this.id}: a state without a process`);
    return process;
  }

  async status(execId = ""): Promise<string> {
    const { status } = await this.state(execId);
    return Object.entries(Status).find(([, value]) => value === status)?.[0] ?? String(status);
  }

  async kill(signal: number, options: { execId?: string; all?: boolean } = {}): Promise<void> {
    const { execId = "", all = false } = options;
    await this.#client.tasks.kill({ containerId: this.id, execId, signal, all }, this.#call);
  }

  async delete(): Promise<{ pid: number; exitStatus: number }> {
    return await this.#client.tasks.delete({ containerId: this.id }, this.#call);
  }

  async deleteExec(execId: string): Promise<number> {
    return (await this.#client.tasks.deleteProcess({ containerId: this.id, execId }, this.#call)).exitStatus;
  }

  async pids(): Promise<number[]> {
    const { processes } = await this.#client.tasks.listPids({ containerId: this.id }, this.#call);
    return processes.map(({ pid }) => pid);
  }

  async pause(): Promise<void> {
    await this.#client.tasks.pause({ containerId: this.id }, this.#call);
  }

  async resume(): Promise<void> {
    await this.#client.tasks.resume({ containerId: this.id }, this.#call);
  }

  async update(resources: object): Promise<void> {
    await this.#client.tasks.update(
      { containerId: this.id, resources: jsonAny("LinuxResources", resources) },
      this.#call,
    );
  }

  /** Where its images are, in the content store. */
  async checkpoint(exit = false): Promise<Descriptor> {
    const value = toBinary(CheckpointOptionsSchema, create(CheckpointOptionsSchema, { exit }));
    const options = create(AnySchema, { typeUrl: "containerd.runc.v1.CheckpointOptions", value });
    const { descriptors } = await this.#client.tasks.checkpoint(
      { containerId: this.id, options },
      this.#call,
    );
    const images = descriptors.find(({ mediaType }) => mediaType.includes("checkpoint.criu"));
    if (images === undefined) throw new Error(`${this.id}: a checkpoint without images`);
    return images;
  }

  /** Another task on what the first one left of its snapshot. */
  async createFrom(checkpoint: Descriptor): Promise<void> {
    const { mounts } = await this.#client.snapshots.mounts(
      { snapshotter: "overlayfs", key: this.id },
      this.#call,
    );
    await this.createTask(mounts, checkpoint);
  }

  async resize(width: number, height: number, execId = ""): Promise<void> {
    await this.#client.tasks.resizePty({ containerId: this.id, execId, width, height }, this.#call);
  }

  async closeStdin(execId = ""): Promise<void> {
    await this.#client.tasks.closeIO({ containerId: this.id, execId, stdin: true }, this.#call);
  }

  /** The container's metrics as it comes from the shim. */
  async metrics(): Promise<Any> {
    const { metrics } = await this.#client.tasks.metrics({ filters: [`id==${this.id}`] }, this.#call);
    const data = metrics[0]?.data;
    if (data === undefined) throw new Error(`${this.id}: no metrics`);
    return data;
  }

  /** Adds an exec; start() makes it run. */
  async exec(execId: string, options: SpecOptions & { withStdin?: boolean }): Promise<Streams> {
    const prefix = `${this.streams.fifos.stdout}-${execId}-${this.#execs.length}`;
    const streams = new Streams(await makeFifos(prefix));
    this.#execs.push(streams);
    await this.#client.tasks.exec(
      {
        containerId: this.id,
        execId,
        stdin: options.withStdin === true ? streams.fifos.stdin : "",
        stdout: streams.fifos.stdout,
        stderr: options.terminal === true ? "" : streams.fifos.stderr,
        terminal: options.terminal === true,
        spec: jsonAny("Process", processOf(options)),
      },
      this.#call,
    );
    return streams;
  }

  /** Adds, starts and waits for an exec, then deletes it. */
  async execToEnd(
    execId: string,
    args: readonly string[],
  ): Promise<{ status: number; stdout: string; stderr: string }> {
    const streams = await this.exec(execId, { args });
    await this.start(execId);
    const status = await this.wait(execId);
    const [stdout, stderr] = await Promise.all([streams.stdout.end(), streams.stderr.end()]);
    await this.deleteExec(execId);
    return { status, stdout, stderr };
  }

  /** Kills, deletes and forgets; a step whose object is gone already is done. */
  async remove(): Promise<void> {
    try {
      await this.#removeTask();
    } finally {
      this.#closeStreams();
    }
  }

  async #removeTask(): Promise<void> {
    if (this.#made) {
      await gone(this.kill(9, { all: true }), "failed_precondition");
      await gone(this.wait());
      await gone(this.delete());
      await gone(this.#client.containers.delete({ id: this.id }, this.#call));
      this.#made = false;
    }
    if (this.#snapshot) {
      await gone(this.#client.snapshots.remove({ snapshotter: "overlayfs", key: this.id }, this.#call));
      this.#snapshot = false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  #closeStreams(): void {
    for (const streams of [this.#streams, ...this.#execs]) streams?.close();
  }
}

async function gone(call: Promise<unknown>, ...alsoFine: string[]): Promise<void> {
  try {
    await call;
  } catch (error) {
    const fine = ["not_found", ...alsoFine];
    if (!(error instanceof TandemError && fine.includes(error.code))) throw error;
  }
}
