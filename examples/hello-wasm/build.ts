import { mediaTypes, type Packed, type Platform, packImage, packTarLayer, packWasm } from "oras-js";
import { type BuiltImage, type Example, hostPlatform } from "../built-image.ts";
import { compileWasm } from "../tools.ts";
import { layerVariant, wasmPlatform } from "../wasm-image.ts";

const source = new URL("hello.c", import.meta.url);

/** The core module itself. */
export async function buildModule(cacheDir?: string): Promise<Uint8Array> {
  return await compileWasm(source, cacheDir);
}

/** The CNCF artifact: a wasm config and one `application/wasm` layer. */
export async function build(cacheDir?: string): Promise<BuiltImage> {
  const packed = packWasm({ bytes: await buildModule(cacheDir), os: "wasip1" });
  return { name: "tandem/hello-wasm:latest", packed, platform: inImage };
}

const inImage = wasmPlatform("wasip1");
const config = { Entrypoint: ["/hello-wasm.wasm"] } as const;

/**
 * The module as a file in a tar layer, labelled as a Linux image, as `FROM scratch` and `COPY` make it: nothing but the file's
 * first bytes says what it is. The only packaging that every containerd can unpack.
 */
async function packTar(module: Uint8Array): Promise<Packed> {
  const layer = await packTarLayer([{ type: "file", path: "hello-wasm.wasm", bytes: module, mode: 0o755 }]);
  return packImage({ ...hostPlatform, config, layers: [layer] });
}

/** Files in a tar layer and the module in a layer beside it. */
async function packMixed(module: Uint8Array): Promise<Packed> {
  const files = await packTarLayer([
    { type: "file", path: "data/greeting.txt", bytes: Buffer.from("hello from a tar layer\n") },
    { type: "directory", path: "tmp", mode: 0o1777 },
  ]);
  return packImage({ ...inImage, config, layers: [files, { mediaType: mediaTypes.wasm, bytes: module }] });
}

interface Variant {
  readonly name: string;
  readonly summary: string;
  readonly platform: Platform;
  pack(module: Uint8Array): Promise<Packed>;
}

function toExample({ name, summary, platform, pack }: Variant): Example {
  return {
    name,
    summary,
    async build(cacheDir) {
      const packed = await pack(await buildModule(cacheDir));
      return { name: `tandem/${name}:latest`, packed, platform };
    },
  };
}

const variants: readonly Variant[] = [
  {
    name: "hello-wasm-tar",
    summary: "the same as a file in a tar layer",
    platform: hostPlatform,
    pack: packTar,
  },
  {
    name: "hello-wasm-mixed",
    summary: "one tar layer and one wasm layer",
    platform: inImage,
    pack: packMixed,
  },
];

export const examples: readonly Example[] = [
  { name: "hello-wasm", summary: "C to WASI 0.1, as a CNCF wasm artifact", build },
  layerVariant({ name: "hello-wasm", os: "wasip1", build: buildModule }),
  ...variants.map(toExample),
];
