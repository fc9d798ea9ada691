import type { Packed } from "./content.ts";
import type { Annotations } from "./descriptor.ts";
import { digestOf } from "./digest.ts";
import { mediaTypes } from "./media-types.ts";
import { packArtifact } from "./pack.ts";
import type { TarLayer } from "./tar-layer.ts";

/** image-spec, config.md, the members of `config`. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Env?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
}

/** A layer that is one blob and no tar: a wasm module beside, or instead of, the file system. */
export interface RawLayer {
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly annotations?: Annotations;
}

export interface ImageInput {
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config?: ImageConfig;
  readonly layers: readonly (TarLayer | RawLayer)[];
  readonly annotations?: Annotations;
  /** RFC 3339. Default 1970, so that the same input gives the same digest. */
  readonly created?: string;
}

const epoch = "1970-01-01T00:00:00Z";

/**
 * Packs a container image. Only tar layers get a diff id: containerd counts them against the layers it can unpack, and skips
 * layers of other media types.
 */
export function packImage(input: ImageInput): Packed {
  const config = {
    created: input.created ?? epoch,
    architecture: input.architecture,
    os: input.os,
    ...(input.variant === undefined ? {} : { variant: input.variant }),
    config: input.config ?? {},
    rootfs: {
      type: "layers",
      diff_ids: input.layers.flatMap((layer) => ("diffId" in layer ? [layer.diffId] : [])),
    },
  };
  return packArtifact({
    configMediaType: mediaTypes.ociConfig,
    config,
    layers: input.layers.map((layer) => ({
      mediaType: layer.mediaType,
      bytes: layer.bytes,
      ...("annotations" in layer && layer.annotations !== undefined
        ? { annotations: layer.annotations }
        : {}),
    })),
    ...(input.annotations === undefined ? {} : { annotations: input.annotations }),
  });
}

export interface WasmInput {
  /** A core module, or a component. */
  readonly bytes: Uint8Array;
  /** `wasip1` for a core module, `wasip2` for a component. */
  readonly os: "wasip1" | "wasip2";
  /** What a component imports and exports, and the world it targets; for wasip2 only. */
  readonly component?: {
    readonly exports?: readonly string[];
    readonly imports?: readonly string[];
    readonly target?: string;
  };
  readonly author?: string;
  readonly created?: string;
  readonly annotations?: Annotations;
}

/** Packs a module or component as the CNCF "Wasm OCI Artifact Layout" has it. */
export function packWasm(input: WasmInput): Packed {
  const config = {
    created: input.created ?? epoch,
    ...(input.author === undefined ? {} : { author: input.author }),
    architecture: "wasm",
    os: input.os,
    layerDigests: [digestOf(input.bytes)],
    ...(input.component === undefined ? {} : { component: input.component }),
  };
  return packArtifact({
    configMediaType: mediaTypes.wasmConfig,
    config,
    layers: [{ mediaType: mediaTypes.wasm, bytes: input.bytes }],
    ...(input.annotations === undefined ? {} : { annotations: input.annotations }),
  });
}
