import type { Blob, Packed } from "./content.ts";
import type { Descriptor } from "./descriptor.ts";
import { blobExists } from "./download.ts";
import { inParallel } from "./in-parallel.ts";
import { type CallOptions, pushManifest } from "./manifests.ts";
import type { Reference, Repository } from "./reference.ts";
import type { Transport } from "./transport.ts";
import { mountBlob, uploadBlob } from "./upload.ts";

/** One step of a push or pull, as it happens. */
export interface Progress {
  readonly descriptor: Descriptor;
  /** `present`: nothing had to be moved; `mounted`: taken from another repository of the registry. */
  readonly state: "present" | "mounted" | "moving" | "done";
  /** Bytes moved so far; less than before when an upload had to start again. */
  readonly transferred: number;
}

export interface PushOptions extends CallOptions {
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  /** A repository of the same registry that may hold some of the blobs. */
  readonly mountFrom?: string | undefined;
  /** See `UploadOptions.chunkSize`. */
  readonly chunkSize?: number | undefined;
  /** Blobs under way at once. Default 3. */
  readonly concurrency?: number | undefined;
}

/** See `Client.push`. The tag moves last, so nobody can pull a tag whose content is not all there. */
export async function push(
  transport: Transport,
  reference: Reference,
  packed: Packed,
  options: PushOptions = {},
): Promise<Descriptor> {
  const { registry, repository } = reference;
  await inParallel(packed.blobs, options.concurrency ?? 3, (blob) =>
    pushBlob(transport, { registry, repository }, blob, options),
  );
  for (const child of packed.children) await push(transport, { registry, repository }, child, options);
  const descriptor = await pushManifest(transport, reference, packed.manifest, options);
  options.onProgress?.({ descriptor, state: "done", transferred: descriptor.size });
  return descriptor;
}

async function pushBlob(
  transport: Transport,
  repository: Repository,
  blob: Blob,
  options: PushOptions,
): Promise<void> {
  const { descriptor } = blob;
  const report = (state: Progress["state"], transferred: number) =>
    options.onProgress?.({ descriptor, state, transferred });
  if (await blobExists(transport, repository, descriptor, options)) return report("present", 0);
  const { mountFrom } = options;
  if (mountFrom !== undefined && mountFrom !== repository.repository) {
    const mounted = await mountBlob(
      transport,
      repository,
      { digest: descriptor.digest, from: mountFrom },
      options,
    );
    if (mounted) return report("mounted", 0);
  }
  await uploadBlob(transport, repository, blob, {
    signal: options.signal,
    chunkSize: options.chunkSize,
    onBytes: (transferred) => report("moving", transferred),
  });
  report("done", descriptor.size);
}
