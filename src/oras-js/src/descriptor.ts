import { isDigest } from "./digest.ts";
import { OrasError } from "./errors.ts";

export type Annotations = Readonly<Record<string, string>>;

export interface Platform {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly "os.version"?: string;
}

/** image-spec, descriptor.md. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Annotations;
  readonly artifactType?: string;
  readonly platform?: Platform;
}

/** image-spec, manifest.md. */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Annotations;
}

/** image-spec, image-index.md. */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Annotations;
}

/**
 * Checks a descriptor that a caller made.
 *
 * @throws OrasError `invalid_argument`
 */
export function assertDescriptor(value: unknown, what: string): asserts value is Descriptor {
  const flaw = flawOf(value);
  if (flaw !== undefined) throw new OrasError("invalid_argument", `${what}: ${flaw}`);
}

/** What keeps a value from being a descriptor. */
function flawOf(value: unknown): string | undefined {
  if (!isRecord(value)) return "not a descriptor";
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string" || mediaType === "") return "descriptor without media type";
  if (typeof digest !== "string" || !isDigest(digest)) return "descriptor without a valid digest";
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    return `descriptor with size ${JSON.stringify(size)}`;
  }
  return undefined;
}

/**
 * Parses a manifest or index and checks every descriptor in it, so that what follows can trust the shape.
 *
 * @throws OrasError `protocol` when it is neither, `media_type_mismatch` when it names another media type than `mediaType`
 */
export function parseManifest(bytes: Uint8Array, mediaType: string): Manifest | Index {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new OrasError("protocol", "manifest is not JSON", { cause: error });
  }
  if (!isRecord(value)) throw new OrasError("protocol", "manifest is not an object");
  const { schemaVersion, mediaType: own } = value;
  if (schemaVersion !== 2) throw new OrasError("protocol", "manifest without schemaVersion 2");
  if (own !== undefined && own !== mediaType) {
    throw new OrasError(
      "media_type_mismatch",
      `manifest says ${JSON.stringify(own)}, served as ${mediaType}`,
    );
  }
  checkChildren(value);
  return { ...value, mediaType } as unknown as Manifest | Index;
}

function checkChildren(manifest: Record<string, unknown>): void {
  const { manifests, config, layers, subject } = manifest;
  if (subject !== undefined) checkDescriptor(subject, "subject");
  if (Array.isArray(manifests) && config === undefined && layers === undefined) {
    for (const child of manifests) checkDescriptor(child, "manifests");
    return;
  }
  // Both kinds of member in one document is the confusion of CVE-2021-41190: one parser would run an image, another an index.
  if (!Array.isArray(layers) || manifests !== undefined) {
    throw new OrasError("protocol", "manifest is neither an image manifest nor an index");
  }
  checkDescriptor(config, "config");
  for (const layer of layers) checkDescriptor(layer, "layers");
}

function checkDescriptor(value: unknown, what: string): void {
  const flaw = flawOf(value);
  if (flaw !== undefined) throw new OrasError("protocol", `manifest with a bad ${what}: ${flaw}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
