import { closeSync } from "node:fs";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { RequestSchema, RequestType, type Response, ResponseSchema } from "../api/gen/criu/rpc_pb.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";

export type CriuRequest = MessageInitShape<typeof RequestSchema>;

/** criu stands still until this returns; it fails when this throws. It owns the descriptors. */
export type OnNotification = (script: string, pid: number, fds: readonly number[]) => void | Promise<void>;

/**
 * Asks a `criu swrk` one thing and answers its questions until it is done (criu.org/RPC).
 *
 * @param socket our end; stays the caller's
 * @throws TandemError failed_precondition with criu's own words, as far as it has any
 */
export async function converse(
  socket: number,
  request: CriuRequest,
  options: { readonly signal: AbortSignal; readonly onNotification: OnNotification },
): Promise<Response> {
  say(socket, request);
  for (;;) {
    const { data, fds } = await hear(socket, options.signal);
    const response = data.length === 0 ? undefined : fromBinary(ResponseSchema, data);
    if (response?.type !== RequestType.NOTIFY || !response.success) {
      for (const fd of fds) closeSync(fd);
      return requireSuccess(response);
    }
    await options.onNotification(response.notify?.script ?? "", response.notify?.pid ?? 0, fds);
    say(socket, { type: RequestType.NOTIFY, notifySuccess: true });
  }
}

function say(socket: number, request: CriuRequest): void {
  try {
    native.sendMessage(socket, toBinary(RequestSchema, create(RequestSchema, request)), []);
  } catch (error) {
    // It ended; what it said before is still to be read.
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw TandemError.from(error, "criu");
  }
}

function requireSuccess(response: Response | undefined): Response {
  if (response === undefined) throw new TandemError("failed_precondition", "criu: ended without an answer");
  if (response.success) return response;
  // Its log says more than crErrmsg, which is the first line of the log that says "Error", cause or not.
  throw new TandemError("failed_precondition", "criu: failed");
}

type Message = { readonly data: Buffer; readonly fds: readonly number[] };

async function hear(socket: number, signal: AbortSignal): Promise<Message> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<Message>();
  const stop = native.onReadable(socket, () => {
    try {
      const message = native.receiveMessage(socket, { nonBlocking: true });
      if (message !== undefined) resolve(message);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ECONNRESET") resolve({ data: Buffer.alloc(0), fds: [] });
      else reject(TandemError.from(error, "criu"));
    }
  });
  const abort = (): void => reject(TandemError.from(signal.reason));
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await promise;
  } finally {
    stop();
    signal.removeEventListener("abort", abort);
  }
}
