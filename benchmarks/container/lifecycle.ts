import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { type Client, connect, type ServiceClient, TtrpcError } from "ttrpc-ts";
import { type Options, OptionsSchema } from "../../src/api/gen/containerd/runc/v1/options_pb.ts";
import { Task as TaskV2 } from "../../src/api/gen/containerd/task/v2/task_pb.ts";
import { Task } from "../../src/api/gen/containerd/task/v3/task_pb.ts";
import { type Bundle, createBundle } from "./bundle.ts";
import { type LaunchContext, launch, parseShimAddress } from "./launch.ts";

/** Milliseconds from the exec of `start` to each step, as a containerd client sees them. */
export interface Times {
  /** The shim's socket is known: `start` has ended and closed its output. */
  readonly started: number;
  /** Create has been answered. */
  readonly created: number;
  readonly firstByte: number;
  /** Wait has been answered. */
  readonly exited: number;
  /** Delete and Shutdown have been answered, the `delete` binary has ended. */
  readonly deleted: number;
}

/** Everything that containerd knows of a container before it starts a shim for it. */
export interface ContainerOptions {
  readonly id: string;
  readonly directory: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly cgroupsPath: string;
  readonly launch: LaunchContext;
  readonly runtimeOptions: Options | undefined;
}

/** A container from its bundle to its deletion; each step is one that containerd takes. */
export class BenchedContainer {
  readonly #options: ContainerOptions;
  readonly #bundle: Bundle;
  readonly #any: Any | undefined;
  #client: Client | undefined;
  #task: ServiceClient<typeof Task> | undefined;

  /** Prepares the bundle; nothing is measured yet. */
  constructor(options: ContainerOptions) {
    this.#options = options;
    this.#bundle = createBundle(options);
    if (options.runtimeOptions === undefined) return;
    // containerd compares type URLs as strings: a bare name, without a host.
    const packed = anyPack(OptionsSchema, options.runtimeOptions);
    this.#any = { ...packed, typeUrl: OptionsSchema.typeName };
  }

  firstByteAt(): number | undefined {
    return this.#bundle.stdout.firstByteAt();
  }

  /** Starts the shim and connects to it. */
  async startShim(): Promise<void> {
    const { id } = this.#options;
    const answer = await launch(this.#options.launch, {
      id,
      bundle: this.#bundle.path,
      action: "start",
      runtimeOptions: this.#any,
    });
    const { path, version } = parseShimAddress(answer);
    this.#client = await connect(path);
    // One service under two names: version 3 did not change a message that is used here.
    this.#task = this.#client.service(Task, version >= 3 ? Task.typeName : TaskV2.typeName);
  }

  async create(): Promise<void> {
    const { id } = this.#options;
    const { path, rootfs, stdout, stderr } = this.#bundle;
    const options = this.#any === undefined ? {} : { options: this.#any };
    const mounts = rootfs.map((mount) => ({ ...mount, options: [...mount.options] }));
    const streams = { stdout: stdout.path, stderr: stderr.path };
    await this.task.create({ id, bundle: path, rootfs: mounts, ...streams, ...options });
  }

  /** containerd asks for the shim's pid first. */
  async start(): Promise<void> {
    await this.task.connect({ id: this.#options.id });
    await this.task.start({ id: this.#options.id });
  }

  /** The exit status. */
  async wait(): Promise<number> {
    return (await this.task.wait({ id: this.#options.id })).exitStatus;
  }

  async kill(): Promise<void> {
    await this.task.kill({ id: this.#options.id, signal: 9, all: true });
  }

  /** Delete and Shutdown, as containerd sends them for a stopped container. */
  async delete(): Promise<void> {
    await this.task.delete({ id: this.#options.id });
    try {
      await this.task.shutdown({ id: this.#options.id }, { timeoutMs: 3000 });
    } catch (error) {
      // The runc shim is sometimes gone before its answer is; containerd does not mind either.
      if (TtrpcError.from(error).code !== "unavailable") throw error;
    }
    await this.#client?.close();
    this.#client = undefined;
  }

  /** The `delete` binary, which containerd runs after every container; it is also what clears up after a failure. */
  async deleteShim(): Promise<void> {
    const { id } = this.#options;
    await launch(this.#options.launch, {
      id,
      bundle: this.#bundle.path,
      action: "delete",
      runtimeOptions: undefined,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close();
    this.#bundle.remove();
  }

  get task(): ServiceClient<typeof Task> {
    if (this.#task === undefined) throw new Error(`container ${this.#options.id}: its shim was not started`);
    return this.#task;
  }
}

/** One cold start: a container that prints and ends, from nothing to nothing. */
export async function coldStart(options: ContainerOptions): Promise<Times> {
  await using container = new BenchedContainer(options);
  const begin = performance.now();
  const since = (): number => performance.now() - begin;
  try {
    await container.startShim();
    const started = since();
    await container.create();
    const created = since();
    const waiting = container.wait();
    await Promise.all([container.start(), waiting]);
    const exited = since();
    await container.delete();
    await container.deleteShim();
    const deleted = since();
    const firstByte = (container.firstByteAt() ?? Number.NaN) - begin;
    if ((await waiting) !== 0) throw new Error(`container ${options.id}: exit status ${await waiting}`);
    if (Number.isNaN(firstByte)) throw new Error(`container ${options.id}: wrote nothing`);
    return { started, created, firstByte, exited, deleted };
  } catch (error) {
    // The same as containerd would do, so that nothing of this container stays.
    await container.deleteShim().catch(() => undefined);
    throw error;
  }
}
