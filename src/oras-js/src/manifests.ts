import { type Descriptor, type Index, type Manifest, parseManifest } from "./descriptor.ts";
import { isDigest, Meter, parseDigest } from "./digest.ts";
import { OrasError } from "./errors.ts";
import { type Answer, discard, readBody } from "./exchange.ts";
import { manifestMediaTypes } from "./media-types.ts";
import { formatReference, type Reference, versionOf } from "./reference.ts";
import type { Transport } from "./transport.ts";

/** distribution-spec 1.1, "Pushing Manifests": registries should take 4 MiB; more than that is no manifest. */
export const manifestLimit = 4 * 1024 * 1024;

/** A manifest as the registry holds it: the digest is that of `bytes`. */
export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest | Index;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** @throws OrasError `digest_mismatch`, `media_type_mismatch`, `too_large`, `not_found`, … */
export async function fetchManifest(
  transport: Transport,
  reference: Reference,
  options: CallOptions & { readonly expected?: Descriptor } = {},
): Promise<FetchedManifest> {
  const { expected, signal } = options;
  const answer = await transport.retrying({
    method: "GET",
    target: `${reference.repository}/manifests/${versionOf(reference)}`,
    scope: { ...reference, actions: ["pull"] },
    accept: [200],
    headers: { accept: (expected === undefined ? manifestMediaTypes : [expected.mediaType]).join(", ") },
    signal,
  });
  const bytes = await readBody(answer, Math.min(expected?.size ?? manifestLimit, manifestLimit), signal);
  const digest = checkDigest(bytes, reference.digest ?? expected?.digest, answer, reference);
  if (expected !== undefined && expected.size !== bytes.byteLength) {
    throw new OrasError("size_mismatch", `${digest}: ${bytes.byteLength} bytes instead of ${expected.size}`);
  }
  const mediaType = mediaTypeOf(answer, reference, expected);
  return {
    descriptor: { mediaType, digest, size: bytes.byteLength },
    bytes,
    manifest: parseManifest(bytes, mediaType),
  };
}

/**
 * Tag → descriptor with a HEAD request; falls back to GET where the registry leaves out the digest or the length.
 *
 * @throws OrasError `not_found`, …
 */
export async function resolve(
  transport: Transport,
  reference: Reference,
  options: CallOptions = {},
): Promise<Descriptor> {
  const answer = await transport.retrying({
    method: "HEAD",
    target: `${reference.repository}/manifests/${versionOf(reference)}`,
    scope: { ...reference, actions: ["pull"] },
    accept: [200],
    headers: { accept: manifestMediaTypes.join(", ") },
    signal: options.signal,
  });
  await discard(answer);
  const digest = digestHeader(answer);
  const size = Number(answer.headers["content-length"]);
  if (digest === undefined || !Number.isSafeInteger(size)) {
    return (await fetchManifest(transport, reference, options)).descriptor;
  }
  if (reference.digest !== undefined && digest !== reference.digest) throw mismatch(reference, digest);
  return { mediaType: mediaTypeOf(answer, reference, undefined), digest, size };
}

/**
 * Writes a manifest under its digest, or under the reference's tag too.
 *
 * @throws OrasError `digest_mismatch` when the registry stored something else, …
 */
export async function pushManifest(
  transport: Transport,
  reference: Reference,
  manifest: { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
  options: CallOptions = {},
): Promise<Descriptor> {
  const { descriptor, bytes } = manifest;
  if (bytes.byteLength > manifestLimit)
    throw new OrasError("too_large", `${descriptor.digest}: over ${manifestLimit} bytes`);
  if (reference.digest !== undefined && reference.digest !== descriptor.digest)
    throw mismatch(reference, descriptor.digest);
  const answer = await transport.retrying({
    method: "PUT",
    target: `${reference.repository}/manifests/${reference.tag ?? descriptor.digest}`,
    scope: { ...reference, actions: ["pull", "push"] },
    accept: [201],
    headers: { "content-type": descriptor.mediaType },
    body: bytes,
    signal: options.signal,
  });
  await discard(answer);
  const stored = digestHeader(answer);
  if (stored !== undefined && stored !== descriptor.digest) throw mismatch(reference, stored);
  return descriptor;
}

function checkDigest(
  bytes: Uint8Array,
  wanted: string | undefined,
  answer: Answer,
  reference: Reference,
): string {
  const claimed = digestHeader(answer);
  const meter = new Meter(parseDigest(wanted ?? claimed ?? `sha256:${"0".repeat(64)}`).algorithm);
  meter.update(bytes);
  const digest = meter.digest();
  // Behind a tag nothing pins the content, but a registry that contradicts itself is broken or worse.
  if ((wanted ?? claimed ?? digest) !== digest) throw mismatch(reference, digest);
  return digest;
}

function mediaTypeOf(answer: Answer, reference: Reference, expected: Descriptor | undefined): string {
  const mediaType = (header(answer, "content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  const wanted = expected === undefined ? manifestMediaTypes : [expected.mediaType];
  if (!wanted.includes(mediaType)) {
    const shown = JSON.stringify(mediaType.slice(0, 100));
    throw new OrasError(
      "media_type_mismatch",
      `${formatReference(reference)}: served as ${shown}, not as a manifest`,
    );
  }
  return mediaType;
}

/** What the registry says the content's digest is. */
function digestHeader(answer: Answer): string | undefined {
  const digest = header(answer, "docker-content-digest");
  if (digest !== undefined && !isDigest(digest))
    throw new OrasError("protocol", "Docker-Content-Digest is not a digest");
  return digest;
}

function header(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function mismatch(reference: Reference, digest: string): OrasError {
  return new OrasError("digest_mismatch", `${formatReference(reference)}: content has digest ${digest}`);
}
