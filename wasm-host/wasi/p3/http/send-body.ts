import { once } from "node:events";
import type { ClientRequest, ServerResponse } from "node:http";
import { errorCodeOf, HttpError, type HttpErrorCode } from "../../../http/error-code.ts";
import { done, err } from "../../p2/result.ts";
import type { Body, Transmission } from "./body.ts";

type Message = ServerResponse | ClientRequest;

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
export async function sendBody(body: Body, message: Message, options: SendOptions): Promise<Transmission> {
  const broken = new AbortController();
  const onClose = (): void => broken.abort();
  message.once("close", onClose);
  let transmission: Transmission;
  try {
    await writeBody(body, message, { ...options, signal: broken.signal });
    transmission = done;
  } catch (error) {
    const code =
      message.errored === null || message.errored === undefined
        ? codeOf(error)
        : errorCodeOf(message.errored);
    transmission = err(code);
    body.drop();
    if (!message.destroyed) message.destroy(new HttpError(code));
  } finally {
    message.off("close", onClose);
  }
  body.settle(transmission);
  return transmission;
}

function codeOf(error: unknown): HttpErrorCode {
  return error instanceof Error && error.name === "AbortError"
    ? { tag: "connection-terminated" }
    : errorCodeOf(error);
}

async function writeBody(
  body: Body,
  message: Message,
  { length, wrongLength, signal }: SendOptions & { readonly signal: AbortSignal },
): Promise<void> {
  let sent = 0;
  for (;;) {
    const bytes = await unlessAborted(body.next(largestChunk), signal);
    if (bytes === undefined) break;
    sent += bytes.length;
    if (length !== undefined && sent > length) throw new HttpError({ tag: wrongLength, val: BigInt(sent) });
    if (!message.write(bytes)) await once(message, "drain", { signal });
  }
  const trailers = await unlessAborted(body.trailers(), signal);
  if (trailers.tag === "err") throw new HttpError(trailers.val);
  if (length !== undefined && sent < length) throw new HttpError({ tag: wrongLength, val: BigInt(sent) });
  if (trailers.val !== undefined) message.addTrailers(trailers.val.toRaw());
  message.end();
  if (!message.writableFinished) await once(message, "finish", { signal });
}

/** Rejects with the signal's reason, whatever becomes of the promise then. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: result, resolve, reject } = Promise.withResolvers<T>();
  const onAbort = (): void => reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  return result;
}
