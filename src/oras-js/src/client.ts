import type { Blob, ContentStore, Packed } from "./content.ts";
import type { Descriptor } from "./descriptor.ts";
import { blobExists, fetchBlob } from "./download.ts";
import { type CallOptions, type FetchedManifest, fetchManifest, pushManifest, resolve } from "./manifests.ts";
import { type PullOptions, pull } from "./pull.ts";
import { type PushOptions, push } from "./push.ts";
import { parseReference, type Reference, type Repository } from "./reference.ts";
import { listTags } from "./tags.ts";
import { Transport, type TransportOptions } from "./transport.ts";
import { mountBlob, type UploadOptions, uploadBlob, uploadStream } from "./upload.ts";

/** A client for registries that speak the OCI distribution spec 1.1. It holds credentials and tokens, no connection to close. */
export class Client {
  readonly #transport: Transport;

  constructor(options: TransportOptions = {}) {
    this.#transport = new Transport(options);
  }

  /** Pushes a packed artifact, image or index: what is missing of its blobs, then the manifests, the tag last. */
  async push(reference: string | Reference, packed: Packed, options?: PushOptions): Promise<Descriptor> {
    return await push(this.#transport, toReference(reference), packed, options);
  }

  /** Pulls a manifest and everything below it into a store. */
  async pull(
    reference: string | Reference,
    store: ContentStore,
    options?: PullOptions,
  ): Promise<FetchedManifest> {
    return await pull(this.#transport, toReference(reference), store, options);
  }

  async resolve(reference: string | Reference, options?: CallOptions): Promise<Descriptor> {
    return await resolve(this.#transport, toReference(reference), options);
  }

  async fetchManifest(
    reference: string | Reference,
    options?: CallOptions & { readonly expected?: Descriptor },
  ): Promise<FetchedManifest> {
    return await fetchManifest(this.#transport, toReference(reference), options);
  }

  async pushManifest(
    reference: string | Reference,
    manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
    options?: CallOptions,
  ): Promise<Descriptor> {
    return await pushManifest(this.#transport, toReference(reference), manifest, options);
  }

  async blobExists(
    repository: string | Repository,
    descriptor: Descriptor,
    options?: CallOptions,
  ): Promise<boolean> {
    return await blobExists(this.#transport, toReference(repository), descriptor, options);
  }

  /** Streams a blob; the stream throws when the content is not what the descriptor says. */
  fetchBlob(
    repository: string | Repository,
    descriptor: Descriptor,
    options?: CallOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    return fetchBlob(this.#transport, toReference(repository), descriptor, options);
  }

  async uploadBlob(repository: string | Repository, blob: Blob, options?: UploadOptions): Promise<void> {
    await uploadBlob(this.#transport, toReference(repository), blob, options);
  }

  /** Uploads content whose size and digest are not known before it has been read. */
  async uploadStream(
    repository: string | Repository,
    stream: { readonly mediaType: string; readonly content: AsyncIterable<Uint8Array> },
    options?: UploadOptions,
  ): Promise<Descriptor> {
    return await uploadStream(this.#transport, toReference(repository), stream, options);
  }

  /** Takes a blob from another repository of the registry; false when the registry would not. */
  async mountBlob(
    repository: string | Repository,
    mount: { readonly digest: string; readonly from: string },
    options?: CallOptions,
  ): Promise<boolean> {
    return await mountBlob(this.#transport, toReference(repository), mount, options);
  }

  listTags(
    repository: string | Repository,
    options?: CallOptions & { readonly pageSize?: number },
  ): AsyncGenerator<string, void, undefined> {
    return listTags(this.#transport, toReference(repository), options);
  }
}

function toReference<T extends Repository>(reference: string | T): Reference | T {
  return typeof reference === "string" ? parseReference(reference) : reference;
}
