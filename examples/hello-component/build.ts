import { packWasm } from "oras-js";
import type { BuiltImage, Example } from "../built-image.ts";
import { componentFromModule } from "../components.ts";
import { buildModule } from "../hello-wasm/build.ts";
import { layerVariant, wasmPlatform } from "../wasm-image.ts";

/** The component itself. */
export async function buildComponent(cacheDir?: string): Promise<Uint8Array> {
  return await componentFromModule(await buildModule(cacheDir), cacheDir);
}

/** The same C program as hello-wasm, as a component for the world `wasi:cli/command`. */
export async function build(cacheDir?: string): Promise<BuiltImage> {
  const component = { exports: ["wasi:cli/run"], target: "wasi:cli/command" };
  const packed = packWasm({ bytes: await buildComponent(cacheDir), os: "wasip2", component });
  return { name: "tandem/hello-component:latest", packed, platform: wasmPlatform("wasip2") };
}

export const examples: readonly Example[] = [
  { name: "hello-component", summary: "the same C program as a wasi:cli/command component", build },
  layerVariant({ name: "hello-component", os: "wasip2", build: buildComponent }),
];
