import type { OutgoingContent } from "../../../http/content.ts";
import { errorCodeOf, HttpError } from "../../../http/error-code.ts";
import { done, err } from "../../p2/result.ts";
import { suspending } from "../../p2/waiting.ts";
import type { Body, Transmission } from "./body.ts";

/** What a socket's buffer takes in. */
const largestChunk = 65_536;

export interface SendOptions {
  /** What `content-length` has announced. */
  readonly length: number | undefined;
  /** What it is when there are more or fewer bytes than that: `HTTP-request-body-size` or that of a response. */
  readonly wrongLength: string;
}

/**
 * Sends the body and ends the message; with the network's own back-pressure, chunk by chunk. A body that breaks, breaks the message:
 * the connection is closed, so that its reader can tell. Never rejects; `body.settle` is told the same.
 */
export async function sendBody(
  body: Body,
  content: OutgoingContent,
  options: SendOptions,
): Promise<Transmission> {
  let transmission: Transmission;
  try {
    await writeBody(body, content, options);
    transmission = done;
  } catch (error) {
    transmission = err(errorCodeOf(content.failure ?? error));
    body.drop();
    content.abort();
  }
  body.settle(transmission);
  return transmission;
}

async function writeBody(
  body: Body,
  content: OutgoingContent,
  { length, wrongLength }: SendOptions,
): Promise<void> {
  let sent = 0;
  for (;;) {
    const bytes = await unlessBroken(content, body.next(largestChunk));
    if (bytes === undefined) break;
    sent += bytes.length;
    if (length !== undefined && sent > length) throw new HttpError({ tag: wrongLength, val: BigInt(sent) });
    await writeAll(content, bytes);
  }
  const trailers = await unlessBroken(content, body.trailers());
  if (trailers.tag === "err") throw new HttpError(trailers.val);
  if (length !== undefined && sent < length) throw new HttpError({ tag: wrongLength, val: BigInt(sent) });
  content.end(trailers.val?.toRaw() ?? []);
  await suspending.untilAny([content.finished]);
  if (content.failure !== undefined) throw content.failure;
}

async function writeAll(content: OutgoingContent, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    await suspending.untilAny([content.source]);
    const room = content.capacity();
    if (room === undefined) throw new HttpError({ tag: "connection-terminated" });
    content.write(bytes.subarray(at, at + room));
    at += Math.min(room, bytes.length - at);
  }
}

/** Rejects as soon as nobody takes the rest any more, whatever becomes of the promise then. */
function unlessBroken<T>(content: OutgoingContent, promise: Promise<T>): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const look = (): void => {
    if (content.finished.ready()) reject(content.failure ?? new HttpError({ tag: "connection-terminated" }));
  };
  const stop = content.finished.watch?.(look);
  look();
  promise.then(resolve, reject).finally(stop);
  return result;
}
