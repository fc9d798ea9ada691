import { TandemError } from "../errors.ts";
import { type Descriptor, isRecord, parseDescriptor } from "../image/descriptor.ts";
import { classifyImage, type ImageContents, isWasmPlatform, parseManifest } from "../image/layers.ts";
import type { CallOptions } from "./client.ts";
import type { Containerd } from "./containerd.ts";
import { readBlob } from "./content.ts";

/** Manifests, indexes and configs are JSON of a few KB; registries refuse more than 4 MiB. */
const MAX_JSON = 4 * 1024 * 1024;
/** Configs with a long history are read again rather than kept. */
const MAX_REMEMBERED = 64 * 1024;
/** An index may name indexes (OCI image-spec); nobody nests them deeper. */
const MAX_DEPTH = 3;

const indexMediaTypes = new Set([
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
]);

/** An image as far as the choice of the executor needs it; all of it follows from the target's digest and never changes. */
export interface ResolvedImage {
  readonly manifestMediaType: string;
  readonly contents: ImageContents;
}

export interface ImageTarget {
  readonly imageName: string;
  readonly target: Descriptor;
}

/**
 * container → image → target. Asked each time: a tag can move and a container's id be used again.
 * undefined when the container is not known or has no image (Docker without the containerd image store).
 *
 * @throws TandemError not_found: the image is gone; invalid_argument: its target is garbage; unavailable, deadline_exceeded.
 */
export async function lookUpTarget(
  containerd: Containerd,
  containerId: string,
  options: CallOptions,
): Promise<ImageTarget | undefined> {
  const imageName = await imageOf(containerd, containerId, options);
  if (imageName === "") return undefined;
  const { image } = await containerd.images.get({ name: imageName }, options);
  const target = image?.target;
  if (target === undefined) throw new TandemError("not_found", `image ${imageName}: has no target`);
  return {
    imageName,
    target: parseDescriptor({ ...target, size: Number(target.size) }, `image ${imageName}`),
  };
}

async function imageOf(containerd: Containerd, containerId: string, options: CallOptions): Promise<string> {
  try {
    const { container } = await containerd.containers.get({ id: containerId }, options);
    return container?.image ?? "";
  } catch (error) {
    if (TandemError.from(error).code === "not_found") return "";
    throw error;
  }
}

/**
 * target → (index →) manifest → config.
 *
 * Of an index, the manifests for this machine's platform and for wasm are read as far as containerd has them, and one for wasm is
 * preferred: this is only asked when the rootfs has nothing that could run, so the Linux one is not what was unpacked.
 *
 * @throws TandemError not_found: containerd has no manifest that fits; invalid_argument: garbage; failed_precondition: a blob is not
 * what its descriptor says.
 */
export async function resolveImage(reader: ImageReader, target: Descriptor): Promise<ResolvedImage> {
  return resolve(reader, target, MAX_DEPTH);
}

export interface ImageReader {
  readonly containerd: Containerd;
  readonly options: CallOptions;
  /** Documents read before, by namespace and digest: containerd may have a blob for one namespace and not for another. */
  readonly documents: DocumentCache;
}

/** Parsed indexes, manifests and configs. A digest's content never changes, so only the bound throws one out, the oldest first. */
export class DocumentCache {
  readonly #documents = new Map<string, unknown>();
  readonly #limit: number;

  constructor(limit = 512) {
    this.#limit = limit;
  }

  get(key: string): unknown {
    return this.#documents.get(key);
  }

  set(key: string, document: unknown): void {
    const [oldest] = this.#documents.keys();
    if (oldest !== undefined && this.#documents.size >= this.#limit) this.#documents.delete(oldest);
    this.#documents.set(key, document);
  }
}

async function resolve(reader: ImageReader, target: Descriptor, depth: number): Promise<ResolvedImage> {
  const document = await readJson(reader, target);
  const isIndex =
    indexMediaTypes.has(target.mediaType) || (isRecord(document) && Array.isArray(document["manifests"]));
  if (isIndex) return resolveIndex(reader, document, { target, depth });
  const manifest = parseManifest(document);
  const config = await readJson(reader, manifest.config);
  return { manifestMediaType: target.mediaType, contents: classifyImage(document, config) };
}

async function resolveIndex(
  reader: ImageReader,
  index: unknown,
  { target, depth }: { readonly target: Descriptor; readonly depth: number },
): Promise<ResolvedImage> {
  if (depth === 0) throw new TandemError("invalid_argument", `index ${target.digest}: nested too deeply`);
  const manifests = isRecord(index) ? index["manifests"] : undefined;
  if (!Array.isArray(manifests))
    throw new TandemError("invalid_argument", `index ${target.digest}: manifests is missing`);
  const descriptors = manifests.map((entry: unknown, at) =>
    parseDescriptor(entry, `index ${target.digest}: manifests[${at}]`),
  );
  let first: ResolvedImage | undefined;
  for (const descriptor of candidatesOf(descriptors)) {
    const resolved = await resolveIfPresent(reader, descriptor, depth - 1);
    if (resolved?.contents.kind === "wasm") return resolved;
    first ??= resolved;
  }
  if (first !== undefined) return first;
  const platforms = descriptors
    .map(({ platform }) => `${platform?.os ?? "?"}/${platform?.architecture ?? "?"}`)
    .join(", ");
  throw new TandemError(
    "not_found",
    `index ${target.digest}: no manifest for this platform or wasm is here (it has ${platforms || "none"})`,
  );
}

/** This machine's platform, then wasm, then what names no platform. Attestations call theirs unknown/unknown. */
function candidatesOf(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  const own = descriptors.filter(
    ({ platform }) => platform?.os === "linux" && platform.architecture === goArchitecture(),
  );
  const wasm = descriptors.filter(({ platform }) => platform !== undefined && isWasmPlatform(platform));
  const unnamed = descriptors.filter(({ platform }) => platform === undefined || platform.os === "");
  return [...own, ...wasm, ...unnamed];
}

/** process.arch in Go's words, which are OCI's. */
function goArchitecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

/** A client pulls one platform of an index: the others' manifests are named but not there. */
async function resolveIfPresent(
  reader: ImageReader,
  descriptor: Descriptor,
  depth: number,
): Promise<ResolvedImage | undefined> {
  try {
    return await resolve(reader, descriptor, depth);
  } catch (error) {
    if (TandemError.from(error).code === "not_found") return undefined;
    throw error;
  }
}

async function readJson(
  { containerd, options, documents }: ImageReader,
  descriptor: Descriptor,
): Promise<unknown> {
  const key = `${options.namespace} ${descriptor.digest}`;
  const known = documents.get(key);
  if (known !== undefined) return known;
  const bytes = await readBlob(containerd.content, descriptor, { ...options, maxBytes: MAX_JSON });
  let document: unknown;
  try {
    document = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw new TandemError(
      "invalid_argument",
      `blob ${descriptor.digest} (${descriptor.mediaType}): not JSON`,
      { cause: error },
    );
  }
  if (bytes.length <= MAX_REMEMBERED) documents.set(key, document);
  return document;
}
