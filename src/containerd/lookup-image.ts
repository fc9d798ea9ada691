import { createHash } from "node:crypto";
import { closeSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { TandemError } from "../errors.ts";
import type { ImageInfo } from "../image/image-info.ts";
import { native } from "../native.ts";
import { forkFromZygote, type ZygoteAddress } from "../zygote/client.ts";
import { resolve } from "./resolver-client.ts";

export type LookupImage = (namespace: string, containerId: string) => Promise<ImageInfo | undefined>;

/**
 * How a shim asks containerd what an image is: by the resolver of that containerd, which keeps the gRPC connection and is started
 * by whoever finds none. Without an address (CRI-O's "vm" type) nobody can be asked.
 */
export function createLookup(zygote: ZygoteAddress, containerdAddress: string): LookupImage {
  if (containerdAddress === "") return async () => undefined;
  const name = createHash("sha256").update(containerdAddress).digest("hex").slice(0, 16);
  const socket = join(dirname(zygote.socket), `resolver-${name}.sock`);
  return async (namespace, containerId) => {
    try {
      return await resolve(socket, { namespace, containerId });
    } catch (error) {
      // The same code tells of a living resolver whose containerd is down; only the client's own message names the socket.
      const noResolver =
        error instanceof TandemError &&
        error.code === "unavailable" &&
        error.message.startsWith(`resolver ${socket}:`);
      if (!noResolver) throw error;
      startResolver(zygote, socket, containerdAddress);
      return await resolve(socket, { namespace, containerId });
    }
  };
}

/**
 * Two shims may do this at once: the later one takes over the name, and the resolver that lost it serves whom it has and ends
 * when it is idle.
 */
function startResolver(zygote: ZygoteAddress, socket: string, containerdAddress: string): void {
  rmSync(socket, { force: true });
  const listener = native.listenStream(socket);
  try {
    closeSync(forkFromZygote(zygote, "resolver", [containerdAddress], [listener]).pidfd);
  } finally {
    closeSync(listener);
  }
}
