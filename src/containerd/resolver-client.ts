import { closeSync, readSync, writeSync } from "node:fs";
import { TandemError } from "../errors.ts";
import type { ImageInfo } from "../image/image-info.ts";
import { native } from "../native.ts";
import { encodeFrame, FrameDecoder, imageFromReply, type ResolveRequest } from "./resolver-protocol.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Asks the resolver that listens at `socketPath` for a container's image: one connection, one frame each way. The question is on its
 * way when this returns; a socket of Node's would send it a turn of the event loop later, and cost more pages than the answer.
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
  let connection: number;
  try {
    connection = ask(socketPath, request);
  } catch (error) {
    return Promise.reject(error instanceof TandemError ? error : unavailable(socketPath, error));
  }
  const stop = native.onReadable(connection, () => {
    try {
      const reply = readReply(connection);
      if (reply !== undefined) settle(imageFromReply(reply));
    } catch (error) {
      reject(error instanceof TandemError ? error : unavailable(socketPath, error));
    }
  });
  const readReply = replyReader(socketPath);
  const timer = setTimeout(() => {
    reject(new TandemError("deadline_exceeded", `resolver ${socketPath}: no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  return promise.finally(() => {
    clearTimeout(timer);
    stop();
    closeSync(connection);
  });
}

/** What a socket takes at once, whatever its peer is doing: names are far shorter. */
const MAX_REQUEST = 64 * 1024;

function ask(socketPath: string, request: ResolveRequest): number {
  const frame = encodeFrame(request);
  if (frame.length > MAX_REQUEST) {
    throw new TandemError("invalid_argument", `resolver: frame of ${frame.length} bytes`);
  }
  const connection = native.connectStream(socketPath);
  try {
    writeSync(connection, frame);
    return connection;
  } catch (error) {
    closeSync(connection);
    throw error;
  }
}

const CHUNK = 4096;

/** Reads what is there; the reply's value once it is whole. */
function replyReader(socketPath: string): (connection: number) => unknown {
  const decoder = new FrameDecoder();
  const chunk = Buffer.alloc(CHUNK);
  return (connection) => {
    const length = readSync(connection, chunk, 0, CHUNK, null);
    if (length === 0) throw new TandemError("unavailable", `resolver ${socketPath}: ended without an answer`);
    return decoder.push(chunk.subarray(0, length))[0];
  };
}

function unavailable(socketPath: string, cause: unknown): TandemError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = code === undefined ? message : `${code}: ${message}`;
  return new TandemError("unavailable", `resolver ${socketPath}: ${why}`, { cause });
}
