import type { Packed, Platform } from "oras-js";

/** An example's image, ready to be pushed by oras-js or written into an OCI layout. */
export interface BuiltImage {
  /** Repository and tag without a registry: `tandem/hello-wasm:latest`. */
  readonly name: string;
  readonly packed: Packed;
  readonly platform: Platform;
}

/** One image that can be built. */
export interface Example {
  readonly name: string;
  /** What it is, in one line, for progress and tables. */
  readonly summary: string;
  /** Idempotent: what takes long is kept in `cacheDir` under the hash of what went into it. */
  build(cacheDir?: string): Promise<BuiltImage>;
}

/** The full reference of an image on a registry: `localhost:5000/tandem/hello-wasm:latest`. */
export function referenceOn(registry: string, image: BuiltImage): string {
  return `${registry}/${image.name}`;
}

/** The platform containerd asks for by default on this machine. */
export const hostPlatform: Platform = {
  os: "linux",
  architecture: process.arch === "x64" ? "amd64" : process.arch,
};
