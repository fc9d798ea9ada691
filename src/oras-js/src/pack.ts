import type { Blob, Packed, Source } from "./content.ts";
import {
  type Annotations,
  assertDescriptor,
  type Descriptor,
  type Index,
  type Manifest,
  type Platform,
} from "./descriptor.ts";
import { digestOf } from "./digest.ts";
import { OrasError } from "./errors.ts";
import { mediaTypes } from "./media-types.ts";

/** A layer in memory, or content whose descriptor is known already. */
export type LayerInput =
  | { readonly mediaType: string; readonly bytes: Uint8Array; readonly annotations?: Annotations }
  | { readonly descriptor: Descriptor; readonly source: Source };

export interface ArtifactInput {
  /** What the artifact is (image-spec 1.1). Required unless `configMediaType` says it. */
  readonly artifactType?: string;
  /** Default: the empty descriptor. */
  readonly configMediaType?: string;
  /** Bytes, or a value to be written as JSON. Default `{}`. */
  readonly config?: Uint8Array | object;
  /** Default: one empty layer, as image-spec recommends for an artifact that is all annotations. */
  readonly layers?: readonly LayerInput[];
  readonly annotations?: Annotations;
  /** The manifest this one is about: a signature's image, an SBOM's image. */
  readonly subject?: Descriptor;
}

/**
 * Packs content of any media types into an image manifest (image-spec 1.1, manifest.md, "Guidelines for Artifact Usage").
 *
 * @throws OrasError `invalid_argument`
 */
export function packArtifact(input: ArtifactInput): Packed {
  const configMediaType = input.configMediaType ?? mediaTypes.empty;
  if (configMediaType === mediaTypes.empty && input.artifactType === undefined) {
    throw new OrasError("invalid_argument", "an artifact needs an artifactType or a config media type");
  }
  const config = toBlob({ mediaType: configMediaType, bytes: toBytes(input.config ?? {}) });
  const layers = (input.layers ?? [{ mediaType: mediaTypes.empty, bytes: toBytes({}) }]).map(toBlob);
  if (input.subject !== undefined) assertDescriptor(input.subject, "subject");
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    ...(input.artifactType === undefined ? {} : { artifactType: input.artifactType }),
    config: config.descriptor,
    layers: layers.map(({ descriptor }) => descriptor),
    ...(input.subject === undefined ? {} : { subject: input.subject }),
    ...(input.annotations === undefined ? {} : { annotations: input.annotations }),
  };
  return { manifest: encodeManifest(manifest), blobs: unique([config, ...layers]), children: [] };
}

export interface IndexInput {
  readonly manifests: readonly {
    readonly packed: Packed;
    readonly platform?: Platform;
    readonly annotations?: Annotations;
  }[];
  readonly artifactType?: string;
  readonly annotations?: Annotations;
  readonly subject?: Descriptor;
}

/** Packs manifests under one index, for instance one per platform. */
export function packIndex(input: IndexInput): Packed {
  const index: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    ...(input.artifactType === undefined ? {} : { artifactType: input.artifactType }),
    manifests: input.manifests.map(({ packed, platform, annotations }) => ({
      ...packed.manifest.descriptor,
      ...(platform === undefined ? {} : { platform }),
      ...(annotations === undefined ? {} : { annotations }),
    })),
    ...(input.subject === undefined ? {} : { subject: input.subject }),
    ...(input.annotations === undefined ? {} : { annotations: input.annotations }),
  };
  return {
    manifest: encodeManifest(index),
    blobs: [],
    children: input.manifests.map(({ packed }) => packed),
  };
}

/** JSON as it goes into a registry: the digest is that of exactly these bytes. */
export function toBytes(value: Uint8Array | object): Uint8Array {
  return value instanceof Uint8Array ? value : Buffer.from(JSON.stringify(value));
}

function encodeManifest(manifest: Manifest | Index): Packed["manifest"] {
  const bytes = toBytes(manifest);
  return {
    descriptor: { mediaType: manifest.mediaType, digest: digestOf(bytes), size: bytes.byteLength },
    bytes,
  };
}

function toBlob(layer: LayerInput): Blob {
  if ("descriptor" in layer) {
    assertDescriptor(layer.descriptor, "layer");
    return layer;
  }
  const { mediaType, bytes, annotations } = layer;
  const descriptor = {
    mediaType,
    digest: digestOf(bytes),
    size: bytes.byteLength,
    ...(annotations === undefined ? {} : { annotations }),
  };
  return { descriptor, source: bytes };
}

function unique(blobs: readonly Blob[]): readonly Blob[] {
  return [...new Map(blobs.map((blob) => [blob.descriptor.digest, blob])).values()];
}
