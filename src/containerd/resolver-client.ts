import { connect, type Socket } from "node:net";
import { TandemError } from "../errors.ts";
import type { ImageInfo } from "../image/image-info.ts";
import { encodeFrame, FrameDecoder, imageFromReply, type ResolveRequest } from "./resolver-protocol.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Asks the resolver that listens at `socketPath` for a container's image: one connection, one frame each way.
 * undefined when containerd knows no image of it.
 *
 * @throws TandemError what the resolver met, under its own code; unavailable: no resolver listens or it died meanwhile;
 * deadline_exceeded.
 */
export function resolve(
  socketPath: string,
  request: ResolveRequest,
  options: { readonly timeoutMs?: number } = {},
): Promise<ImageInfo | undefined> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const { promise, resolve: settle, reject } = Promise.withResolvers<ImageInfo | undefined>();
  const socket = connect(socketPath);
  const timer = setTimeout(() => {
    reject(new TandemError("deadline_exceeded", `resolver ${socketPath}: no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  readReply(socket, settle, reject);
  socket.on("error", (error) => reject(unavailable(socketPath, error.message, error)));
  socket.on("close", () => reject(unavailable(socketPath, "ended without an answer")));
  socket.write(encodeFrame(request));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function readReply(
  socket: Socket,
  settle: (image: ImageInfo | undefined) => void,
  reject: (error: unknown) => void,
): void {
  const decoder = new FrameDecoder();
  socket.on("data", (bytes: Buffer) => {
    try {
      const replies = decoder.push(bytes);
      if (replies.length > 0) settle(imageFromReply(replies[0]));
    } catch (error) {
      reject(error);
    }
  });
}

function unavailable(socketPath: string, why: string, cause?: unknown): TandemError {
  return new TandemError("unavailable", `resolver ${socketPath}: ${why}`, { cause });
}
