import type { Client, Descriptor } from "oras-js";
import { allExamples, pushImage } from "../../examples/build.ts";
import type { BuiltImage } from "../../examples/built-image.ts";
import type { Containerd } from "../private-containerd/containerd.ts";
import { registryAddress } from "./registry.ts";

/** The examples that are run, in the packaging that the others are variants of. */
export const imageNames = ["pause", "hello-wasm", "hello-component", "hello-linux", "http-function"] as const;
export type ImageName = (typeof imageNames)[number];

/** The reference that containerd pulls and the pods name. */
export function referenceOf(name: ImageName): string {
  return `${registryAddress}/tandem/${name}:latest`;
}

/** @throws Error that names the tool or package that is missing. */
export async function buildImage(name: ImageName): Promise<BuiltImage> {
  const example = allExamples.find((found) => found.name === name);
  if (example === undefined) throw new Error(`examples/${name} is not there`);
  return await example.build();
}

/** Pushes with oras-js, then has containerd pull it. */
export async function publish(
  client: Client,
  containerd: Containerd,
  image: BuiltImage,
  onProgress: (text: string) => void,
): Promise<void> {
  const reference = await pushImage(client, registryAddress, image, (text) => onProgress(`push ${text}`));
  onProgress("containerd pulls");
  // CRI's own images live in this namespace; whatever client pulls one there, CRI sees it.
  await containerd.ctrOk(["images", "pull", "--plain-http", reference], { namespace: "k8s.io" });
}

/** The media types that an executor is chosen by: the config's where it is one of wasm, and those of the layers. */
export function mediaTypesOf(image: BuiltImage): string[] {
  const manifest = JSON.parse(Buffer.from(image.packed.manifest.bytes).toString()) as {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  };
  return [...new Set([manifest.config, ...manifest.layers].map(({ mediaType }) => mediaType))];
}
