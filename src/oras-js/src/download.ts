import type { Descriptor } from "./descriptor.ts";
import { verified } from "./digest.ts";
import { isRetryable, OrasError } from "./errors.ts";
import { type Answer, bodyOf, discard } from "./exchange.ts";
import type { CallOptions } from "./manifests.ts";
import type { Repository } from "./reference.ts";
import { delayBefore, pause } from "./retry.ts";
import type { Transport } from "./transport.ts";

/** Whether the repository has the blob. */
export async function blobExists(
  transport: Transport,
  repository: Repository,
  descriptor: Descriptor,
  options: CallOptions = {},
): Promise<boolean> {
  const answer = await transport.retrying({
    method: "HEAD",
    target: `${repository.repository}/blobs/${descriptor.digest}`,
    scope: { ...repository, actions: ["pull"] },
    accept: [200, 404],
    signal: options.signal,
  });
  await discard(answer);
  if (answer.status === 404) return false;
  checkLength(answer, descriptor, descriptor.size);
  return true;
}

/**
 * Streams a blob. The stream throws instead of ending when the content is not what the descriptor says; a connection that breaks
 * half-way is taken up again where it broke.
 *
 * @throws OrasError (from the stream) `digest_mismatch`, `size_mismatch`, `not_found`, `unavailable`, …
 */
export function fetchBlob(
  transport: Transport,
  repository: Repository,
  descriptor: Descriptor,
  options: CallOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  return verified(resumed(transport, repository, descriptor, options), descriptor);
}

async function* resumed(
  transport: Transport,
  repository: Repository,
  descriptor: Descriptor,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let offset = 0;
  for (let made = 1; ; made += 1) {
    try {
      for await (const chunk of from(transport, repository, descriptor, offset, options)) {
        offset += chunk.byteLength;
        yield chunk;
      }
      return;
    } catch (error) {
      if (!isRetryable(error) || offset >= descriptor.size || made >= transport.retry.attempts) throw error;
      await pause(delayBefore(made, error, transport.retry), options.signal);
    }
  }
}

async function* from(
  transport: Transport,
  repository: Repository,
  descriptor: Descriptor,
  offset: number,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const answer = await transport.call({
    method: "GET",
    target: `${repository.repository}/blobs/${descriptor.digest}`,
    scope: { ...repository, actions: ["pull"] },
    accept: offset === 0 ? [200] : [200, 206],
    headers: offset === 0 ? {} : { range: `bytes=${offset}-` },
    signal: options.signal,
  });
  const partial = answer.status === 206;
  checkLength(answer, descriptor, partial ? descriptor.size - offset : descriptor.size);
  if (partial && !(answer.headers["content-range"] ?? "").startsWith(`bytes ${offset}-`)) {
    answer.body.destroy();
    throw new OrasError("protocol", `${descriptor.digest}: answered with another range than asked for`);
  }
  let skip = partial ? 0 : offset;
  for await (const chunk of bodyOf(answer, options.signal)) {
    const skipped = Math.min(skip, chunk.byteLength);
    skip -= skipped;
    if (skipped < chunk.byteLength) yield chunk.subarray(skipped);
  }
}

function checkLength(answer: Answer, descriptor: Descriptor, expected: number): void {
  const declared = answer.headers["content-length"];
  if (declared === undefined || Number(declared) === expected) return;
  answer.body.destroy();
  throw new OrasError(
    "size_mismatch",
    `${descriptor.digest}: the registry has ${declared} bytes, expected ${expected}`,
  );
}
