export type { Action, CredentialSource, Credentials } from "./auth.ts";
export { Client } from "./client.ts";
export { type Blob, type ContentStore, MemoryStore, type Packed, type Source } from "./content.ts";
export {
  type Annotations,
  type Descriptor,
  type Index,
  type Manifest,
  type Platform,
  parseManifest,
} from "./descriptor.ts";
export { digestOf, Meter, parseDigest, verified } from "./digest.ts";
export { OrasError, type OrasErrorCode, orasErrorCodes } from "./errors.ts";
export {
  type ImageConfig,
  type ImageInput,
  packImage,
  packWasm,
  type RawLayer,
  type WasmInput,
} from "./image.ts";
export { Layout, type NamedImage, writeLayoutTar } from "./layout.ts";
export type { CallOptions, FetchedManifest } from "./manifests.ts";
export { isIndex, manifestMediaTypes, mediaTypes } from "./media-types.ts";
export { type ArtifactInput, type IndexInput, type LayerInput, packArtifact, packIndex } from "./pack.ts";
export type { PullOptions } from "./pull.ts";
export type { Progress, PushOptions } from "./push.ts";
export { formatReference, isLoopback, parseReference, type Reference, type Repository } from "./reference.ts";
export type { RetryOptions } from "./retry.ts";
export { type Compression, packTarLayer, type TarEntry, type TarLayer } from "./tar-layer.ts";
export type { TransportOptions } from "./transport.ts";
export type { UploadOptions } from "./upload.ts";
