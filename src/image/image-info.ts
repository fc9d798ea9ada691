import type { WasmForm } from "./layers.ts";

/** What containerd knows of a container's image: all that the choice of the executor needs of it. */
export interface ImageInfo {
  readonly imageName: string;
  readonly manifestMediaType: string;
  readonly configMediaType: string;
  readonly os: string;
  readonly architecture: string;
  readonly kind: "linux" | "wasm";
  /** The image's wasm layer as a file in the module store. Absent for a Linux image and where the module is in a tar layer. */
  readonly module?: ImageModule;
}

export interface ImageModule {
  readonly path: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly form: WasmForm;
}
