import { TandemError } from "../errors.ts";

/** A reference to a blob (OCI image-spec, descriptor.md), as far as it matters here. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

const digestForm = /^sha256:[0-9a-f]{64}$/;

/** @throws TandemError invalid_argument: not `sha256:<hex>`. Checked before a digest becomes part of a path. */
export function assertDigest(digest: unknown): asserts digest is string {
  if (typeof digest === "string" && digestForm.test(digest)) return;
  throw new TandemError(
    "invalid_argument",
    `digest ${JSON.stringify(digest)?.slice(0, 100)}: not of the form sha256:<64 hex digits>`,
  );
}

/** @throws TandemError invalid_argument naming what of a descriptor is missing or wrong. `where` says which one it is. */
export function parseDescriptor(value: unknown, where: string): Descriptor {
  if (!isRecord(value)) throw new TandemError("invalid_argument", `${where}: not a descriptor`);
  const { mediaType, digest, size, platform } = value;
  if (typeof mediaType !== "string")
    throw new TandemError("invalid_argument", `${where}: mediaType is missing`);
  try {
    assertDigest(digest);
  } catch (error) {
    throw TandemError.from(error, where);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw new TandemError(
      "invalid_argument",
      `${where}: size ${JSON.stringify(size)?.slice(0, 40)} is not a size`,
    );
  }
  if (!isRecord(platform)) return { mediaType, digest, size };
  return {
    mediaType,
    digest,
    size,
    platform: { os: stringOr(platform["os"], ""), architecture: stringOr(platform["architecture"], "") },
  };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function stringOr(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}
