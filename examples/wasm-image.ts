import { mediaTypes, type Packed, type Platform, packImage } from "oras-js";
import type { Example } from "./built-image.ts";

/** A module or component, and how to wrap it as an image that has an image config. */
export interface WasmImage {
  /** Name of the example; `-layer` is added for the image. */
  readonly name: string;
  readonly os: "wasip1" | "wasip2";
  build(cacheDir?: string): Promise<Uint8Array>;
}

export function wasmPlatform(os: WasmImage["os"]): Platform {
  return { os, architecture: "wasm" };
}

/** Wraps wasm as the only layer of an OCI image. Unlike the artifact, it says what its command is, which `ctr run` asks for. */
export function packWasmLayer(name: string, os: WasmImage["os"], bytes: Uint8Array): Packed {
  const config = { Entrypoint: [`/${name}.wasm`] };
  return packImage({ ...wasmPlatform(os), config, layers: [{ mediaType: mediaTypes.wasm, bytes }] });
}

/** The variant of an artifact for clients that need an image config. */
export function layerVariant({ name, os, build }: WasmImage): Example {
  return {
    name: `${name}-layer`,
    summary: "the same in an OCI image with a wasm layer",
    async build(cacheDir) {
      const packed = packWasmLayer(name, os, await build(cacheDir));
      return { name: `tandem/${name}-layer:latest`, packed, platform: wasmPlatform(os) };
    },
  };
}
