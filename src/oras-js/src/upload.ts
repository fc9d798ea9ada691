import { inPieces, read, type Source } from "./content.ts";
import type { Descriptor } from "./descriptor.ts";
import { Meter, verified } from "./digest.ts";
import { OrasError } from "./errors.ts";
import { type Answer, discard } from "./exchange.ts";
import type { CallOptions } from "./manifests.ts";
import type { Repository } from "./reference.ts";
import { withRetry } from "./retry.ts";
import type { Transport } from "./transport.ts";

export interface UploadOptions extends CallOptions {
  /** Sends the blob in requests of this many bytes (for proxies that bound a request). Default: one request. */
  readonly chunkSize?: number | undefined;
  /** Called as bytes leave; `transferred` starts again when an upload is retried. */
  readonly onBytes?: ((transferred: number) => void) | undefined;
}

/**
 * Uploads a blob, checked against its descriptor while it leaves.
 *
 * @throws OrasError `size_mismatch` or `digest_mismatch` when the source is not what the descriptor says, …
 */
export async function uploadBlob(
  transport: Transport,
  repository: Repository,
  blob: { readonly descriptor: Descriptor; readonly source: Source },
  options: UploadOptions = {},
): Promise<void> {
  const { descriptor } = blob;
  const open = () => counted(verified(read(blob.source), descriptor), options.onBytes);
  await withRetry(
    async () => {
      const upload = await begin(transport, repository, options);
      if (options.chunkSize === undefined) {
        const body = { length: descriptor.size, open };
        await finish(transport, repository, { upload, digest: descriptor.digest, body, options });
        return;
      }
      const last = await sendPieces(transport, repository, {
        upload,
        content: open(),
        options,
        chunkSize: options.chunkSize,
      });
      await finish(transport, repository, { upload: last, digest: descriptor.digest, options });
    },
    transport.retry,
    options.signal,
  );
}

/**
 * Uploads content of unknown size and digest in one pass; both come back in the descriptor. Because the content can be read only
 * once, a failure is final.
 *
 * @throws OrasError
 */
export async function uploadStream(
  transport: Transport,
  repository: Repository,
  stream: { readonly mediaType: string; readonly content: AsyncIterable<Uint8Array> },
  options: UploadOptions = {},
): Promise<Descriptor> {
  const meter = new Meter();
  async function* metered(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of counted(stream.content, options.onBytes)) {
      meter.update(chunk);
      yield chunk;
    }
  }
  const upload = await begin(transport, repository, options);
  // A piece is held in memory: it can be sent again after a challenge, and its length is known, which PATCH asks for.
  const chunkSize = options.chunkSize ?? 4 * 1024 * 1024;
  const last = await sendPieces(transport, repository, { upload, content: metered(), options, chunkSize });
  const descriptor = { mediaType: stream.mediaType, digest: meter.digest(), size: meter.size };
  await finish(transport, repository, { upload: last, digest: descriptor.digest, options });
  return descriptor;
}

/**
 * Asks the registry to take the blob from another of its repositories.
 *
 * @returns false when it would not; nothing is left open then
 */
export async function mountBlob(
  transport: Transport,
  repository: Repository,
  mount: { readonly digest: string; readonly from: string },
  options: CallOptions = {},
): Promise<boolean> {
  const query = new URLSearchParams({ mount: mount.digest, from: mount.from });
  const answer = await transport.retrying({
    method: "POST",
    target: `${repository.repository}/blobs/uploads/?${query}`,
    scope: { ...repository, actions: ["pull", "push"], from: mount.from },
    accept: [201, 202],
    headers: { "content-length": "0" },
    signal: options.signal,
  });
  await discard(answer);
  if (answer.status === 201) return true;
  await cancel(transport, repository, locationOf(transport, answer), options);
  return false;
}

async function begin(transport: Transport, repository: Repository, options: CallOptions): Promise<URL> {
  const answer = await transport.call({
    method: "POST",
    target: `${repository.repository}/blobs/uploads/`,
    scope: { ...repository, actions: ["pull", "push"] },
    accept: [202],
    headers: { "content-length": "0" },
    signal: options.signal,
  });
  await discard(answer);
  return locationOf(transport, answer);
}

interface Pieces {
  readonly upload: URL;
  readonly content: AsyncIterable<Uint8Array>;
  readonly chunkSize: number;
  readonly options: UploadOptions;
}

async function sendPieces(transport: Transport, repository: Repository, pieces: Pieces): Promise<URL> {
  const { chunkSize } = pieces;
  if (!Number.isSafeInteger(chunkSize) || chunkSize < 1)
    throw new OrasError("invalid_argument", `chunk size ${chunkSize}`);
  let upload = pieces.upload;
  let offset = 0;
  for await (const piece of inPieces(pieces.content, chunkSize)) {
    const end = offset + piece.byteLength - 1;
    const answer = await transport.call({
      method: "PATCH",
      target: upload,
      scope: { ...repository, actions: ["pull", "push"] },
      accept: [202],
      headers: { "content-type": "application/octet-stream", "content-range": `${offset}-${end}` },
      body: piece,
      signal: pieces.options.signal,
    });
    await discard(answer);
    const { range } = answer.headers;
    if (range !== undefined && range !== `0-${end}`) {
      throw new OrasError("protocol", `${repository.repository}: upload is at ${range} instead of 0-${end}`);
    }
    upload = locationOf(transport, answer);
    offset = end + 1;
  }
  return upload;
}

interface Ending {
  readonly upload: URL;
  readonly digest: string;
  readonly body?: { readonly length: number; open(): AsyncIterable<Uint8Array> };
  readonly options: UploadOptions;
}

async function finish(transport: Transport, repository: Repository, ending: Ending): Promise<void> {
  const url = new URL(ending.upload);
  url.searchParams.set("digest", ending.digest);
  const answer = await transport.call({
    method: "PUT",
    target: url,
    scope: { ...repository, actions: ["pull", "push"] },
    accept: [201],
    headers: {
      "content-type": "application/octet-stream",
      ...(ending.body === undefined ? { "content-length": "0" } : {}),
    },
    ...(ending.body === undefined ? {} : { body: ending.body }),
    signal: ending.options.signal,
  });
  await discard(answer);
  const stored = answer.headers["docker-content-digest"];
  if (stored !== undefined && stored !== ending.digest) {
    throw new OrasError(
      "digest_mismatch",
      `${ending.digest}: the registry stored ${String(stored).slice(0, 160)}`,
    );
  }
}

async function cancel(
  transport: Transport,
  repository: Repository,
  upload: URL,
  options: CallOptions,
): Promise<void> {
  const scope = { ...repository, actions: ["pull", "push"] as const };
  // Not every registry lets an upload be cancelled; it then forgets it by itself.
  const accept = [200, 202, 204, 401, 403, 404, 405, 501];
  await discard(
    await transport.call({ method: "DELETE", target: upload, scope, accept, signal: options.signal }),
  );
}

function locationOf(transport: Transport, answer: Answer): URL {
  return transport.locate(answer.headers.location, answer.url);
}

async function* counted(
  content: AsyncIterable<Uint8Array>,
  onBytes: ((transferred: number) => void) | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  let transferred = 0;
  for await (const chunk of content) {
    transferred += chunk.byteLength;
    onBytes?.(transferred);
    yield chunk;
  }
}
