import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "oras-js";
import type { BuiltImage } from "../../examples/built-image.ts";
import { Tasks } from "../../src/api/gen/containerd/services/tasks/v1/tasks_pb.ts";
import { createServiceClient, openChannel } from "../../src/containerd/client.ts";
import { runOk } from "../private-containerd/command.ts";
import { type Containerd, type Generation, startContainerd } from "../private-containerd/containerd.ts";
import { type ContainerSpec, Cri, type Pod } from "../private-containerd/cri.ts";
import { waitFor } from "../private-containerd/wait-for.ts";
import { type ImageName, mediaTypesOf, publish, referenceOf } from "./images.ts";
import { type Inspection, inspect } from "./inspect.ts";
import { type LogLine, readLog } from "./log-file.ts";
import type { PodNetwork } from "./network.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { root, tandemPath } from "./root.ts";

/** A container that has been started. */
export interface Running extends Inspection {
  readonly name: string;
  readonly pod: string;
  readonly mediaTypes: readonly string[];
  /** From CRI's StartContainer, with which containerd calls the shim for the first time, to the first byte. */
  readonly coldStartMs: number;
  log(): LogLine[];
  /** Waits for its end. */
  exitStatus(): Promise<number>;
}

/** A container of one of the examples' images. */
export type ExampleContainer = Omit<ContainerSpec, "image"> & { readonly imageName: ImageName };

export interface OpenPod {
  readonly name: string;
  readonly ip: string;
  readonly pod: Pod;
}

/** How a node ended. */
export interface Closing {
  /** What did not go as it should; it was ended by force then. */
  readonly problems: readonly string[];
  /** What is there in spite of everything. */
  readonly left: readonly string[];
}

/** How the first byte of a container is seen: a line in its log, or an answer to HTTP. */
export type FirstByte = { readonly kind: "line" } | { readonly kind: "http"; readonly url: string };

const now = (): number => performance.timeOrigin + performance.now();

/** A node of one's own: containerd with CRI, a registry, and the pods on it. `close` ends all of it. */
export class Node {
  readonly containerd: Containerd;
  readonly network: PodNetwork;
  readonly #registry: Registry;
  readonly #cri: Cri;
  readonly #images = new Map<ImageName, BuiltImage>();
  readonly #pods: OpenPod[] = [];
  readonly #client = new Client();

  private constructor(containerd: Containerd, registry: Registry, network: PodNetwork) {
    this.containerd = containerd;
    this.network = network;
    this.#registry = registry;
    this.#cri = new Cri(containerd, { hostNetwork: network === "host" });
  }

  static async open(generation: Generation, network: PodNetwork): Promise<Node> {
    const containerd = await startContainerd({
      generation,
      cri: { sandboxImage: referenceOf("pause") },
      network: "inherited",
      detached: true,
    });
    try {
      const node = new Node(containerd, await startRegistry(containerd.directory), network);
      await node.#cri.ready();
      return node;
    } catch (error) {
      await containerd.stop();
      throw error;
    }
  }

  /** containerd's own, in full. */
  get version(): string {
    return `containerd ${readFileSync(
      join(root, ".cache/containerd", this.containerd.generation, "version"),
      "utf8",
    )
      .trim()
      .replace("+unknown", "")}`;
  }

  /** Pushes an image to the registry and has containerd pull it. */
  async publish(name: ImageName, image: BuiltImage, onProgress: (text: string) => void): Promise<void> {
    await publish(this.#client, this.containerd, image, onProgress);
    this.#images.set(name, image);
  }

  /** The first pod of a node would pay for the zygote's start; an installed Tandem has one running. */
  async warm(): Promise<void> {
    const { PATH = "", TANDEM_RUN_DIR = "", TANDEM_STATE_DIR = "" } = this.containerd.environment();
    await runOk(tandemPath, ["zygote"], { environment: { PATH, TANDEM_RUN_DIR, TANDEM_STATE_DIR } });
  }

  async runPod(name: string): Promise<OpenPod> {
    const pod = await this.#cri.runPod(name, "tandem");
    const open = { name, ip: this.network === "bridge" ? pod.ip : "127.0.0.1", pod };
    this.#pods.push(open);
    return open;
  }

  /** Starts a container of an image, waits for its first byte and looks at its process. */
  async run(
    { name, pod }: OpenPod,
    container: ExampleContainer,
    firstByte: FirstByte = { kind: "line" },
  ): Promise<Running> {
    const id = await pod.create({ ...container, image: referenceOf(container.imageName) });
    const log = (): LogLine[] => readLog(pod.logPath(container.name));
    const started = now();
    await pod.start(id);
    const first =
      firstByte.kind === "line" ? firstLine(container.name, log) : firstAnswer(firstByte.url, log);
    const at = await first;
    const image = this.#images.get(container.imageName);
    return {
      ...inspect(await this.#pidOf(id), await this.#pidOf(pod.id)),
      name: container.name,
      pod: name,
      mediaTypes: image === undefined ? [] : mediaTypesOf(image),
      coldStartMs: at - started,
      log,
      exitStatus: async () => {
        try {
          return (await pod.exited(id)).exitCode;
        } catch (cause) {
          throw new Error(`${container.name} does not end; it says: ${lastWords(log())}`, { cause });
        }
      },
    };
  }

  async #pidOf(containerId: string): Promise<number> {
    const channel = openChannel(this.containerd.address);
    try {
      const { process } = await createServiceClient(channel, Tasks).get(
        { containerId },
        { namespace: "k8s.io" },
      );
      return process?.pid ?? 0;
    } finally {
      channel.close();
    }
  }

  /** Removes the pods, looks for anything that Tandem left, and ends everything else, by force where it has to be. */
  async close(): Promise<Closing> {
    const problems: string[] = [];
    const attempt = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        problems.push(error instanceof Error ? error.message : String(error));
      }
    };
    for (const { pod } of this.#pods) await attempt(() => pod.remove());
    this.#cri[Symbol.dispose]();
    await attempt(() => this.#registry.stop());
    // Where a pod could not be removed there is more than enough left; that is said already.
    if (problems.length === 0) await attempt(() => this.containerd.assertClean());
    await attempt(() => this.containerd.stop());
    const { directory } = this.containerd;
    return {
      problems,
      left: [...this.containerd.leftovers(), ...(existsSync(directory) ? [directory] : [])],
    };
  }
}

function lastWords(log: readonly LogLine[]): string {
  return log
    .map(({ text }) => text)
    .slice(-5)
    .join(" | ");
}

async function firstLine(name: string, log: () => LogLine[]): Promise<number> {
  const line = await waitFor(() => log()[0], 30_000, `a first line from ${name}`);
  return line.time;
}

/** Polls, because nothing tells when a server listens; the pause between two attempts is the error of the measurement. */
async function firstAnswer(url: string, log: () => LogLine[]): Promise<number> {
  const deadline = now() + 30_000;
  for (;;) {
    try {
      const response = await fetch(url);
      await response.arrayBuffer();
      return now();
    } catch (cause) {
      if (now() > deadline) {
        throw new Error(`no answer from ${url}; the container says: ${lastWords(log())}`, { cause });
      }
      await sleep(2);
    }
  }
}
