import { packImage, packTarLayer } from "oras-js";
import { type BuiltImage, type Example, hostPlatform } from "../built-image.ts";
import { compileStatic } from "../tools.ts";

/** The image of a pod's sandbox container: one static program that waits. */
export async function build(cacheDir?: string): Promise<BuiltImage> {
  const program = await compileStatic(new URL("pause.c", import.meta.url), cacheDir);
  const layer = await packTarLayer([{ type: "file", path: "pause", bytes: program, mode: 0o755 }]);
  const packed = packImage({
    ...hostPlatform,
    config: { Entrypoint: ["/pause"], User: "65535:65535" },
    layers: [layer],
  });
  return { name: "tandem/pause:latest", packed, platform: hostPlatform };
}

export const examples: readonly Example[] = [
  { name: "pause", summary: "what holds a pod's namespaces open", build },
];
