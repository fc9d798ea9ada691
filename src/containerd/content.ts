import { createHash } from "node:crypto";
import { type Content, WriteAction } from "../api/gen/containerd/services/content/v1/content_pb.ts";
import { TandemError } from "../errors.ts";
import type { Descriptor } from "../image/descriptor.ts";
import type { CallOptions, ServiceClient } from "./client.ts";

type ContentClient = ServiceClient<typeof Content>;

/** One Read each: the deadline of a call then bounds a window, not a blob of any size. */
const READ_WINDOW = 8 * 1024 * 1024;
/** Below 4 MiB, which any gRPC server takes in one message; containerd takes 16. */
const WRITE_CHUNK = 2 * 1024 * 1024;

export interface ReadOptions extends CallOptions {
  /** Refuse a bigger blob before anything is read. */
  readonly maxBytes: number;
}

/**
 * A blob's bytes as they arrive. Whoever consumes them has all of them, and the right ones, only once the iteration has ended.
 *
 * @throws TandemError not_found: containerd does not have it; resource_exhausted: bigger than maxBytes; failed_precondition: its
 * size or digest is not the descriptor's.
 */
export async function* streamBlob(
  content: ContentClient,
  descriptor: Pick<Descriptor, "digest" | "size">,
  options: ReadOptions,
): AsyncIterableIterator<Uint8Array> {
  const { digest, size } = descriptor;
  if (size > options.maxBytes) {
    throw new TandemError(
      "resource_exhausted",
      `blob ${digest}: ${size} bytes, more than the limit of ${options.maxBytes}`,
    );
  }
  const hash = createHash("sha256");
  let offset = 0;
  while (offset < size) {
    const window = Math.min(READ_WINDOW, size - offset);
    const start = offset;
    for await (const message of content.read(
      { digest, offset: BigInt(start), size: BigInt(window) },
      options,
    )) {
      // message.offset is no help: containerd counts it from the window's start, not the blob's.
      if (offset - start + message.data.length > window) throw wrongSize(digest, size);
      hash.update(message.data);
      offset += message.data.length;
      yield message.data;
    }
    if (offset - start !== window) throw wrongSize(digest, size, offset);
  }
  // A blob that goes on after this has another digest, too: no need to ask for its size.
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== digest)
    throw new TandemError("failed_precondition", `blob ${digest}: content has digest ${actual}`);
}

function wrongSize(digest: string, expected: number, actual?: number): TandemError {
  const found = actual === undefined ? "" : `, content has ${actual}`;
  return new TandemError("failed_precondition", `blob ${digest}: descriptor says ${expected} bytes${found}`);
}

/** A whole blob in memory; see {@link streamBlob}. */
export async function readBlob(
  content: ContentClient,
  descriptor: Pick<Descriptor, "digest" | "size">,
  options: ReadOptions,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBlob(content, descriptor, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export interface WriteOptions extends CallOptions {
  /** Kept by containerd's garbage collector: `containerd.io/gc.ref.content.<n>` and others. */
  readonly labels?: Readonly<Record<string, string>>;
}

/**
 * Stores a blob; one that is there already is left alone. Without a lease (CallOptions) or a label it may be collected at once.
 * Returns its digest.
 */
export async function writeBlob(
  content: ContentClient,
  data: Uint8Array,
  options: WriteOptions = {},
): Promise<string> {
  const expected = `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const ref = `tandem-${expected}`;
  const total = BigInt(data.length);
  const { send, end, responses } = content.write(options);
  const reply = async (): Promise<bigint> => {
    const { value, done } = await responses.next();
    if (done === true) throw new TandemError("unavailable", `blob ${expected}: containerd ended the write`);
    return value.offset;
  };
  try {
    send({ action: WriteAction.STAT, ref, total, expected });
    let offset = Number(await reply());
    while (offset < data.length) {
      const chunk = data.subarray(offset, offset + WRITE_CHUNK);
      send({ action: WriteAction.WRITE, ref, total, expected, offset: BigInt(offset), data: chunk });
      await reply();
      offset += chunk.length;
    }
    send({ action: WriteAction.COMMIT, ref, total, expected, offset: total, labels: { ...options.labels } });
    await reply();
  } catch (error) {
    if (TandemError.from(error).code !== "already_exists") throw error;
  } finally {
    end();
    await responses.return?.();
  }
  return expected;
}
