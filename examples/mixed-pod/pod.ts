import { readFile } from "node:fs/promises";
import { parse } from "yaml";

/** A container of the pod, as far as it takes to run it without Kubernetes. */
export interface PodContainer {
  readonly name: string;
  /** Repository and tag without the registry, to be found among the built images. */
  readonly image: string;
  /** `command` and `args` together; empty when the image says what runs. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  /** In bytes; undefined without a limit. */
  readonly memoryLimit: number | undefined;
}

export interface PodDescription {
  readonly name: string;
  readonly containers: readonly PodContainer[];
}

/** The members of a Kubernetes container that the example uses. */
interface ManifestContainer {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value: string }[];
  readonly ports?: readonly { readonly containerPort: number }[];
  readonly resources?: { readonly limits?: { readonly memory?: string } };
}

/** Reads `pod.yaml`, so that the pod is described once for Kubernetes and for everything else that runs it. */
export async function loadPod(): Promise<PodDescription> {
  const text = await readFile(new URL("pod.yaml", import.meta.url), "utf8");
  const pod = parse(text) as {
    metadata: { name: string };
    spec: { containers: readonly ManifestContainer[] };
  };
  return { name: pod.metadata.name, containers: pod.spec.containers.map(describe) };
}

function describe(container: ManifestContainer): PodContainer {
  const { name, image, command = [], args = [], env = [], ports = [], resources } = container;
  return {
    name,
    image: image.slice(image.indexOf("/") + 1),
    args: [...command, ...args],
    env: Object.fromEntries(env.map((entry) => [entry.name, entry.value])),
    ports: ports.map(({ containerPort }) => containerPort),
    memoryLimit: bytesFrom(resources?.limits?.memory),
  };
}

const units: Readonly<Record<string, number>> = { Ki: 1024, Mi: 1024 ** 2, Gi: 1024 ** 3 };

function bytesFrom(quantity: string | undefined): number | undefined {
  if (quantity === undefined) return undefined;
  const match = /^(\d+)(Ki|Mi|Gi)$/.exec(quantity);
  const unit = units[match?.[2] ?? ""];
  if (match === null || unit === undefined)
    throw new Error(`pod.yaml: memory limit ${quantity} is not understood`);
  return Number(match[1]) * unit;
}
