import { closeSync, openSync, readSync } from "node:fs";
import { TandemError } from "../errors.ts";
import type { Descriptor } from "../image/descriptor.ts";
import type { ImageInfo, ImageModule } from "../image/image-info.ts";
import { formOfMediaType } from "../image/layers.ts";
import type { ModuleStore } from "../image/module-store.ts";
import { isWat, WASM_HEAD_LENGTH, wasmForm } from "../image/wasm-form.ts";
import type { CallOptions } from "./client.ts";
import type { Containerd } from "./containerd.ts";
import { streamBlob } from "./content.ts";
import { keepingBlob } from "./leases.ts";
import { DocumentCache, lookUpTarget, type ResolvedImage, resolveImage } from "./lookup.ts";
import type { ResolveRequest } from "./resolver-protocol.ts";

/** A component with a JavaScript engine in it has 13 MB; V8 itself takes modules of up to 1 GiB. */
const MAX_MODULE = 1024 * 1024 * 1024;

/** A gigabyte from a slow disk; a resolver that dies leaves its lease for so long. */
const READ_LEASE_MS = 10 * 60_000;

/**
 * Answers what image a container has and where its module is. What follows from a digest is remembered and fetched once, however
 * many ask at the same time; what a name stands for (container → image → digest) is asked from containerd each time.
 */
export class ImageResolver {
  readonly #containerd: Containerd;
  readonly #modules: ModuleStore;
  readonly #documents = new DocumentCache();
  readonly #fetching = new Map<string, Promise<ResolvedImage | string>>();

  constructor(containerd: Containerd, modules: ModuleStore) {
    this.#containerd = containerd;
    this.#modules = modules;
  }

  /** undefined when containerd knows no image of the container. Raises what lookup.ts, content.ts and ModuleStore.add do. */
  async resolve(request: ResolveRequest): Promise<ImageInfo | undefined> {
    const options: CallOptions = { namespace: request.namespace };
    const found = await lookUpTarget(this.#containerd, request.containerId, options);
    if (found === undefined) return undefined;
    try {
      const image = await this.#image(found.target, options);
      const { contents } = image;
      const module = contents.kind === "wasm" ? await this.#module(contents.layers, options) : undefined;
      return {
        imageName: found.imageName,
        manifestMediaType: image.manifestMediaType,
        configMediaType: contents.config.mediaType,
        os: contents.config.os,
        architecture: contents.config.architecture,
        kind: contents.kind,
        ...(module === undefined ? {} : { module }),
      };
    } catch (error) {
      throw TandemError.from(error, `image ${found.imageName}`);
    }
  }

  #image(target: Descriptor, options: CallOptions): Promise<ResolvedImage> {
    const reader = { containerd: this.#containerd, options, documents: this.#documents };
    return this.#once(`${options.namespace} ${target.digest}`, () => resolveImage(reader, target));
  }

  async #module(layers: readonly Descriptor[], options: CallOptions): Promise<ImageModule | undefined> {
    const [layer] = layers;
    if (layer === undefined) return undefined;
    if (layers.length > 1) {
      throw new TandemError(
        "unimplemented",
        `has ${layers.length} wasm layers; which of them is to run, nothing says`,
      );
    }
    const path = this.#modules.find(layer) ?? (await this.#fetch(layer, options));
    return { path, digest: layer.digest, mediaType: layer.mediaType, form: readForm(path, layer) };
  }

  #fetch(layer: Descriptor, options: CallOptions): Promise<string> {
    const { content, leases } = this.#containerd;
    const { digest } = layer;
    const read = (): Promise<string> =>
      this.#modules.add(layer, streamBlob(content, layer, { ...options, maxBytes: MAX_MODULE }));
    return this.#once(digest, () =>
      keepingBlob(leases, { namespace: options.namespace ?? "default", ttlMs: READ_LEASE_MS, digest }, read),
    );
  }

  /** Whoever asks for the same thing meanwhile gets the same answer, also where that is an error. */
  async #once<T extends ResolvedImage | string>(key: string, fetch: () => Promise<T>): Promise<T> {
    const running = this.#fetching.get(key) as Promise<T> | undefined;
    if (running !== undefined) return running;
    const promise = fetch().finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, promise);
    return promise;
  }
}

/** @throws TandemError invalid_argument: the layer is not what its media type says. */
function readForm(path: string, layer: Descriptor): ImageModule["form"] {
  const head = Buffer.alloc(WASM_HEAD_LENGTH);
  const fd = openSync(path, "r");
  let length: number;
  try {
    length = readSync(fd, head);
  } finally {
    closeSync(fd);
  }
  const form = wasmForm(head.subarray(0, length));
  const said = formOfMediaType(layer.mediaType);
  if (form !== undefined && (said === undefined || said === form)) return form;
  const found = form ?? (isWat(head.subarray(0, length)) ? "WebAssembly text (.wat)" : "no wasm binary");
  throw new TandemError(
    "invalid_argument",
    `layer ${layer.digest} (${layer.mediaType}): content is ${found === form ? `a ${form}` : found}`,
  );
}
