import type { ContentStore } from "./content.ts";
import type { Descriptor, Index, Manifest, Platform } from "./descriptor.ts";
import { fetchBlob } from "./download.ts";
import { OrasError } from "./errors.ts";
import { inParallel } from "./in-parallel.ts";
import { type CallOptions, type FetchedManifest, fetchManifest } from "./manifests.ts";
import { isIndex } from "./media-types.ts";
import type { Progress } from "./push.ts";
import { formatReference, type Reference, type Repository } from "./reference.ts";
import type { Transport } from "./transport.ts";

export interface PullOptions extends CallOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** Of an index, only the manifests for this platform. Default: all. */
  readonly platform?: Platform | undefined;
  /** Blobs under way at once. Default 3. */
  readonly concurrency?: number | undefined;
  /** Largest blob to accept. Default 16 GiB: a bound, not a policy. */
  readonly maxBlobSize?: number | undefined;
}

/** How deep indexes may be nested; content addressing allows no cycle, but a long chain is still a trap. */
const maxDepth = 4;
const defaultMaxBlobSize = 16 * 1024 ** 3;

/** See `Client.pull`. Blobs are written before the manifest that refers to them. */
export async function pull(
  transport: Transport,
  reference: Reference,
  store: ContentStore,
  options: PullOptions = {},
): Promise<FetchedManifest> {
  const fetched = await fetchManifest(transport, reference, options);
  await pullBelow(transport, reference, { fetched, store, options, depth: 1 });
  return fetched;
}

interface Below {
  readonly fetched: FetchedManifest;
  readonly store: ContentStore;
  readonly options: PullOptions;
  readonly depth: number;
}

async function pullBelow(transport: Transport, reference: Reference, below: Below): Promise<void> {
  const { fetched, store, options, depth } = below;
  const { registry, repository } = reference;
  if (isIndex(fetched.descriptor.mediaType)) {
    if (depth > maxDepth)
      throw new OrasError("too_large", `${formatReference(reference)}: indexes nested over ${maxDepth} deep`);
    for (const expected of chosen(fetched.manifest as Index, reference, options.platform)) {
      const child: Reference = { registry, repository, digest: expected.digest };
      const inner = await fetchManifest(transport, child, { expected, signal: options.signal });
      await pullBelow(transport, child, { fetched: inner, store, options, depth: depth + 1 });
    }
  } else {
    const { config, layers } = fetched.manifest as Manifest;
    const unique = new Map([config, ...layers].map((descriptor) => [descriptor.digest, descriptor]));
    const work = (descriptor: Descriptor) =>
      pullBlob(transport, { registry, repository }, { descriptor, store, options });
    await inParallel([...unique.values()], options.concurrency ?? 3, work);
  }
  if (!(await store.has(fetched.descriptor))) await store.write(fetched.descriptor, once(fetched.bytes));
  options.onProgress?.({
    descriptor: fetched.descriptor,
    state: "done",
    transferred: fetched.descriptor.size,
  });
}

function chosen(index: Index, reference: Reference, platform: Platform | undefined): readonly Descriptor[] {
  if (platform === undefined) return index.manifests;
  const matching = index.manifests.filter(
    (child) =>
      child.platform?.os === platform.os &&
      child.platform.architecture === platform.architecture &&
      (platform.variant === undefined || child.platform.variant === platform.variant),
  );
  if (matching.length > 0) return matching;
  const wanted = `${platform.os}/${platform.architecture}`;
  throw new OrasError("not_found", `${formatReference(reference)}: nothing for ${wanted} in the index`);
}

interface BlobPull {
  readonly descriptor: Descriptor;
  readonly store: ContentStore;
  readonly options: PullOptions;
}

async function pullBlob(transport: Transport, repository: Repository, blob: BlobPull): Promise<void> {
  const { descriptor, store, options } = blob;
  const report = (state: Progress["state"], transferred: number) =>
    options.onProgress?.({ descriptor, state, transferred });
  const limit = options.maxBlobSize ?? defaultMaxBlobSize;
  if (descriptor.size > limit)
    throw new OrasError("too_large", `${descriptor.digest}: ${descriptor.size} bytes, over ${limit}`);
  if (await store.has(descriptor)) return report("present", 0);
  async function* watched(): AsyncGenerator<Uint8Array, void, undefined> {
    let transferred = 0;
    for await (const chunk of fetchBlob(transport, repository, descriptor, options)) {
      transferred += chunk.byteLength;
      report("moving", transferred);
      yield chunk;
    }
  }
  await store.write(descriptor, watched());
  report("done", descriptor.size);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
