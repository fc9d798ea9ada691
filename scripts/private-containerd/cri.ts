import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@grpc/grpc-js";
import { createServiceClient, openChannel, type ServiceClient } from "../../src/containerd/client.ts";
import type { Containerd } from "./containerd.ts";
import {
  type ContainerConfigSchema,
  ContainerState,
  type ContainerStatus,
  NamespaceMode,
  type NamespaceOptionSchema,
  RuntimeService,
} from "./gen/runtime/v1/runtime_pb.ts";
import { waitFor } from "./wait-for.ts";

export interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly parameters?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** In bytes. */
  readonly memoryLimit?: number | undefined;
}

/** One pod, as a kubelet makes it: its sandbox and the containers in it. */
export interface Pod {
  readonly id: string;
  readonly ip: string;
  /** Returns the id of the container, which has no process yet. */
  create(container: ContainerSpec): Promise<string>;
  start(container: string): Promise<void>;
  /** Creates and starts a container; returns its id. */
  run(container: ContainerSpec): Promise<string>;
  exited(container: string): Promise<ContainerStatus>;
  exec(
    container: string,
    command: readonly string[],
  ): Promise<{ stdout: string; stderr: string; exitCode: number }>;
  logPath(name: string): string;
  /** Stops and removes it with all its containers. */
  remove(): Promise<void>;
}

function containerConfig(
  container: ContainerSpec,
  namespaceOptions: MessageInitShape<typeof NamespaceOptionSchema>,
): MessageInitShape<typeof ContainerConfigSchema> {
  return {
    metadata: { name: container.name, attempt: 0 },
    image: { image: container.image },
    command: [...(container.command ?? [])],
    args: [...(container.parameters ?? [])],
    envs: Object.entries(container.environment ?? {}).map(([key, value]) => ({ key, value })),
    annotations: { ...container.annotations },
    logPath: `${container.name}.log`,
    linux: {
      securityContext: { namespaceOptions },
      ...(container.memoryLimit === undefined
        ? {}
        : { resources: { memoryLimitInBytes: BigInt(container.memoryLimit) } }),
    },
  };
}

/** A kubelet's view of a private containerd that was started with CRI. Close it before containerd is stopped. */
export class Cri implements Disposable {
  readonly runtime: ServiceClient<typeof RuntimeService>;
  readonly #containerd: Containerd;
  readonly #channel: Client;
  /** A kubelet's default: each container sees its own processes only. */
  readonly #namespaces: { readonly network: NamespaceMode; readonly pid: NamespaceMode };

  /** With `hostNetwork` the pods have containerd's own network namespace, which takes no CNI. */
  constructor(containerd: Containerd, options: { readonly hostNetwork?: boolean } = {}) {
    this.#containerd = containerd;
    const network = options.hostNetwork === true ? NamespaceMode.NODE : NamespaceMode.POD;
    this.#namespaces = { network, pid: NamespaceMode.CONTAINER };
    this.#channel = openChannel(containerd.address);
    this.runtime = createServiceClient(this.#channel, RuntimeService);
  }

  /** Waits for the network: containerd reads the CNI configuration some time after it answers. */
  async ready(): Promise<void> {
    const isReady = async (): Promise<boolean> => {
      const { status } = await this.runtime.status({});
      // From 2.0 there are others, about deprecations, that may be false on a healthy machine.
      const needed =
        this.#namespaces.network === NamespaceMode.NODE ? ["RuntimeReady"] : ["RuntimeReady", "NetworkReady"];
      return needed.every((type) => status?.conditions.some((found) => found.type === type && found.status));
    };
    await waitFor(isReady, 15_000, "CRI ready, with its network");
  }

  async runPod(
    name: string,
    handler: string,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<Pod> {
    const logDirectory = join(this.#containerd.directory, "logs", name);
    mkdirSync(logDirectory, { recursive: true });
    const config = {
      metadata: { name, namespace: "default", uid: `${name}-uid`, attempt: 0 },
      logDirectory,
      // A pod on the node's network has the node's name, too: it gets no uts namespace.
      hostname: this.#namespaces.network === NamespaceMode.NODE ? "" : name,
      annotations: { ...annotations },
      // Beside the cgroups of `ctr`, where leftovers.ts looks.
      linux: {
        cgroupParent: `/${this.#containerd.namespace}-cri`,
        securityContext: { namespaceOptions: this.#namespaces },
      },
    };
    const { podSandboxId: id } = await this.runtime.runPodSandbox(
      { config, runtimeHandler: handler },
      { timeoutMs: 60_000 },
    );
    const { status } = await this.runtime.podSandboxStatus({ podSandboxId: id });
    const create = async (container: ContainerSpec): Promise<string> => {
      const { containerId } = await this.runtime.createContainer({
        podSandboxId: id,
        sandboxConfig: config,
        config: containerConfig(container, this.#namespaces),
      });
      return containerId;
    };
    const start = async (containerId: string): Promise<void> => {
      await this.runtime.startContainer({ containerId }, { timeoutMs: 30_000 });
    };
    return {
      id,
      ip: status?.network?.ip ?? "",
      create,
      start,
      run: async (container) => {
        const containerId = await create(container);
        await start(containerId);
        return containerId;
      },
      exited: (containerId) => this.#exited(containerId),
      exec: (containerId, command) => this.#exec(containerId, command),
      logPath: (container) => join(logDirectory, `${container}.log`),
      remove: async () => {
        await this.runtime.stopPodSandbox({ podSandboxId: id }, { timeoutMs: 60_000 });
        await this.runtime.removePodSandbox({ podSandboxId: id }, { timeoutMs: 60_000 });
      },
    };
  }

  async #exited(containerId: string): Promise<ContainerStatus> {
    const status = async (): Promise<ContainerStatus | undefined> => {
      const response = await this.runtime.containerStatus({ containerId });
      return response.status?.state === ContainerState.CONTAINER_EXITED ? response.status : undefined;
    };
    return await waitFor(status, 30_000, `container ${containerId} exited`);
  }

  async #exec(
    containerId: string,
    cmd: readonly string[],
  ): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const response = await this.runtime.execSync(
      { containerId, cmd: [...cmd], timeout: 20n },
      { timeoutMs: 30_000 },
    );
    const decoder = new TextDecoder();
    const { stdout, stderr, exitCode } = response;
    return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr), exitCode };
  }

  [Symbol.dispose](): void {
    this.#channel.close();
  }
}
