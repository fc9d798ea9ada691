import { TandemError } from "../errors.ts";
import { type Descriptor, isRecord, parseDescriptor, stringOr } from "./descriptor.ts";

/** Config of the CNCF wasm artifact (TAG Runtime, "Wasm OCI Artifact Layout"). */
export const wasmConfigMediaType = "application/vnd.wasm.config.v0+json";

/** Media type of the layers that hold a wasm binary → the form it names; undefined where only its first bytes tell. */
const wasmLayerMediaTypes: ReadonlyMap<string, WasmForm | undefined> = new Map<string, WasmForm | undefined>([
  ["application/wasm", undefined],
  ["application/vnd.bytecodealliance.wasm.component.layer.v0+wasm", "component"],
  ["application/vnd.wasm.content.layer.v1+wasm", undefined],
  ["application/vnd.module.wasm.content.layer.v1+wasm", "module"],
]);

/** A core module or a component: the two binary forms that a wasm file can have. */
export type WasmForm = "module" | "component";

export interface ImageConfig {
  readonly mediaType: string;
  readonly os: string;
  readonly architecture: string;
}

export type ImageContents =
  | { readonly kind: "linux"; readonly config: ImageConfig }
  /** `layers` is empty when the image is for wasm but has the module in a tar layer: then it is in the rootfs. */
  | { readonly kind: "wasm"; readonly layers: readonly Descriptor[]; readonly config: ImageConfig };

/**
 * What an image is made of, from its manifest and config as parsed JSON. Pure.
 *
 * 1. Config `application/vnd.wasm.config.v0+json`: the CNCF artifact, exactly one wasm layer.
 * 2. At least one wasm layer: an OCI image with wasm layers, whatever platform its config claims (containerd 1.6 needs a tar layer
 *    and linux/<arch> beside it, shim-protocol §7.2).
 * 3. `architecture: wasm` (or wasm32), or an os of wasi: for wasm, with the module in a tar layer.
 * 4. Else a Linux image.
 *
 * @throws TandemError invalid_argument: not a manifest, or an artifact with another number of layers than one.
 */
export function classifyImage(manifest: unknown, config: unknown): ImageContents {
  const { config: configDescriptor, layers } = parseManifest(manifest);
  const imageConfig = parseConfig(config, configDescriptor.mediaType);
  const wasmLayers = layers.filter((layer) => wasmLayerMediaTypes.has(layer.mediaType));
  if (configDescriptor.mediaType === wasmConfigMediaType) {
    if (layers.length !== 1 || wasmLayers.length !== 1) {
      const found = layers.map((layer) => layer.mediaType).join(", ") || "none";
      throw new TandemError(
        "invalid_argument",
        `wasm artifact: must have exactly one layer of wasm, has ${layers.length} (${found})`,
      );
    }
    return { kind: "wasm", layers: wasmLayers, config: imageConfig };
  }
  if (wasmLayers.length > 0 || isWasmPlatform(imageConfig))
    return { kind: "wasm", layers: wasmLayers, config: imageConfig };
  return { kind: "linux", config: imageConfig };
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** @throws TandemError invalid_argument */
export function parseManifest(manifest: unknown): Manifest {
  if (!isRecord(manifest)) throw new TandemError("invalid_argument", "manifest: not a JSON object");
  const { layers } = manifest;
  if (!Array.isArray(layers)) throw new TandemError("invalid_argument", "manifest: layers is missing");
  return {
    config: parseDescriptor(manifest["config"], "manifest: config"),
    layers: layers.map((layer: unknown, index) => parseDescriptor(layer, `manifest: layers[${index}]`)),
  };
}

function parseConfig(config: unknown, mediaType: string): ImageConfig {
  if (!isRecord(config)) throw new TandemError("invalid_argument", "image config: not a JSON object");
  return { mediaType, os: stringOr(config["os"], ""), architecture: stringOr(config["architecture"], "") };
}

/** Published as wasi/wasm (Docker, runwasi), wasip1/wasm, wasip2/wasm (CNCF) and, long ago, wasi/wasm32. */
export function isWasmPlatform(platform: { readonly os: string; readonly architecture: string }): boolean {
  return (
    platform.architecture === "wasm" ||
    platform.architecture === "wasm32" ||
    /^wasi(p\d+)?$/.test(platform.os)
  );
}

/** The form that the layer's media type names, if it names one. */
export function formOfMediaType(mediaType: string): WasmForm | undefined {
  return wasmLayerMediaTypes.get(mediaType);
}
