import { createHash, type Hash } from "node:crypto";
import type { Descriptor } from "./descriptor.ts";
import { OrasError } from "./errors.ts";

const encodedLength: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

/**
 * Splits `algorithm:hex` (image-spec, descriptor.md, Digests). Only the registered algorithms that Node can compute are accepted,
 * because a digest that cannot be checked protects nothing.
 *
 * @throws OrasError `invalid_argument`
 */
export function parseDigest(digest: string): { readonly algorithm: string; readonly hex: string } {
  const [algorithm = "", hex = ""] = digest.split(":");
  if (!isDigest(digest))
    throw new OrasError("invalid_argument", `${JSON.stringify(digest.slice(0, 160))}: not a digest`);
  return { algorithm, hex };
}

/** Whether `parseDigest` takes it. */
export function isDigest(text: string): boolean {
  const match = /^(sha256|sha384|sha512):([0-9a-f]+)$/.exec(text);
  return match !== null && encodedLength[match[1] ?? ""] === match[2]?.length;
}

/** `sha256:…` of bytes in memory. */
export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** Counts and hashes what passes, so that content can be streamed and still be known at its end. */
export class Meter {
  readonly #hash: Hash;
  readonly #algorithm: string;
  #size = 0;

  constructor(algorithm = "sha256") {
    this.#hash = createHash(algorithm);
    this.#algorithm = algorithm;
  }

  get size(): number {
    return this.#size;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#size += chunk.byteLength;
  }

  /** Call once, at the end. */
  digest(): string {
    return `${this.#algorithm}:${this.#hash.digest("hex")}`;
  }
}

/**
 * Passes content through and throws instead of ending when it is not what the descriptor says. It never passes on a byte beyond
 * the size, so an endless body costs no more than an honest one.
 *
 * @throws OrasError `size_mismatch`, `digest_mismatch`
 */
export async function* verified(
  content: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const meter = new Meter(parseDigest(descriptor.digest).algorithm);
  for await (const chunk of content) {
    meter.update(chunk);
    if (meter.size > descriptor.size) {
      throw new OrasError("size_mismatch", `${descriptor.digest}: longer than ${descriptor.size} bytes`);
    }
    yield chunk;
  }
  if (meter.size !== descriptor.size) {
    throw new OrasError(
      "size_mismatch",
      `${descriptor.digest}: ${meter.size} bytes instead of ${descriptor.size}`,
    );
  }
  const digest = meter.digest();
  if (digest !== descriptor.digest) {
    throw new OrasError("digest_mismatch", `${descriptor.digest}: content has digest ${digest}`);
  }
}
