import { createServer } from "node:net";
import { resolve } from "../../containerd/resolver-client.ts";
import { encodeFrame } from "../../containerd/resolver-protocol.ts";

/** A shim asks for an image that has no entrypoint in its rootfs; the resolver is one that always gives the same answer. */
export async function playLookup(socketPath: string): Promise<void> {
  const server = createServer((socket) => {
    socket.once("data", () => socket.end(encodeFrame({ image })));
  });
  await new Promise<void>((ready) => server.listen(socketPath, ready));
  await resolve(socketPath, { namespace: "rehearsal", containerId: "rehearsal" });
  await new Promise((closed) => server.close(closed));
}

const image = {
  imageName: "rehearsal",
  manifestMediaType: "application/vnd.oci.image.manifest.v1+json",
  configMediaType: "application/vnd.wasm.config.v0+json",
  os: "wasip1",
  architecture: "wasm",
  kind: "wasm",
  module: { path: "/rehearsal.wasm", digest: "sha256:0", mediaType: "application/wasm", form: "module" },
} as const;
