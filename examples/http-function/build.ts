import { packWasm } from "oras-js";
import type { BuiltImage, Example } from "../built-image.ts";
import { componentFromScript, type ScriptComponent } from "../components.ts";
import { layerVariant, wasmPlatform } from "../wasm-image.ts";

/** The component itself. */
export async function buildComponent(cacheDir?: string): Promise<Uint8Array> {
  const script: ScriptComponent = {
    sources: [new URL("handler.ts", import.meta.url), new URL("incoming-handler.ts", import.meta.url)],
    world: new URL("world.wit", import.meta.url),
    worldName: "http-function",
  };
  return await componentFromScript(script, cacheDir);
}

/** A TypeScript function as a component that exports `wasi:http/incoming-handler`. */
export async function build(cacheDir?: string): Promise<BuiltImage> {
  const component = { exports: ["wasi:http/incoming-handler@0.2.10"], target: "wasi:http/proxy" };
  const packed = packWasm({ bytes: await buildComponent(cacheDir), os: "wasip2", component });
  return { name: "tandem/http-function:latest", packed, platform: wasmPlatform("wasip2") };
}

export const examples: readonly Example[] = [
  { name: "http-function", summary: "TypeScript to a wasi:http component", build },
  layerVariant({ name: "http-function", os: "wasip2", build: buildComponent }),
];
