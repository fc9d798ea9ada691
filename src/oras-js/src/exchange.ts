import {
  type ClientRequest,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { OrasError } from "./errors.ts";

/** A body that can be sent more than once: after a challenge, after a lost connection. */
export type Body = Uint8Array | { readonly length?: number; open(): AsyncIterable<Uint8Array> };

/** One HTTP request. */
export interface Exchange {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence on the connection. */
  readonly idleTimeoutMs: number;
}

/** The head of an answer; the body is still on the connection and MUST be read or discarded. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
  readonly url: URL;
}

/**
 * Sends one request and resolves with the head of the answer. No redirect is followed and no status is an error here.
 *
 * @throws OrasError `unavailable`, `timeout`, `aborted`; whatever the source of the body throws
 */
export async function send(exchange: Exchange): Promise<Answer> {
  const { url, signal } = exchange;
  if (signal?.aborted === true) throw aborted(url, signal);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const connect = url.protocol === "https:" ? httpsRequest : httpRequest;
  const request = connect(url, {
    method: exchange.method,
    headers: { ...exchange.headers, ...lengthHeaders(exchange.body) },
    ...(signal === undefined ? {} : { signal }),
  });
  let answered: IncomingMessage | undefined;
  request.setTimeout(exchange.idleTimeoutMs, () => {
    // Once there is an answer, whoever reads its body has to see the reason.
    (answered ?? request).destroy(
      new OrasError("timeout", `${shown(url)}: silent for ${exchange.idleTimeoutMs} ms`),
    );
  });
  request.on("error", (error) => reject(connectionError(error, url, signal)));
  request.on("response", (body) => {
    answered = body;
    resolve({ status: body.statusCode ?? 0, headers: body.headers, body, url });
  });
  transmit(request, exchange.body, reject);
  return await promise;
}

function transmit(request: ClientRequest, body: Body | undefined, reject: (error: unknown) => void): void {
  if (body === undefined || body instanceof Uint8Array) {
    request.end(body);
    return;
  }
  // The source's own error has to be the one that is seen, before the pipeline makes a connection error of it.
  const content = Readable.from(watched(body.open(), reject), { objectMode: false });
  // A server may answer before it has read everything; then the promise is settled and a late EPIPE says nothing new.
  pipeline(content, request).catch(() => request.destroy());
}

async function* watched(
  content: AsyncIterable<Uint8Array>,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* content;
  } catch (error) {
    onError(error);
    throw error;
  }
}

function lengthHeaders(body: Body | undefined): Record<string, string> {
  if (body === undefined) return {};
  const length = body instanceof Uint8Array ? body.byteLength : body.length;
  return length === undefined ? { "transfer-encoding": "chunked" } : { "content-length": String(length) };
}

/**
 * The body as chunks, with the errors of this package.
 *
 * @throws OrasError `unavailable` when the connection ends early, `timeout`, `aborted`
 */
export async function* bodyOf(
  answer: Answer,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const chunk of answer.body) yield chunk as Uint8Array;
  } catch (error) {
    throw connectionError(error, answer.url, signal);
  }
  if (!answer.body.complete)
    throw new OrasError("unavailable", `${shown(answer.url)}: connection closed early`);
}

/**
 * The whole body, if it is not longer than `limit`.
 *
 * @throws OrasError `too_large` and those of `bodyOf`
 */
export async function readBody(answer: Answer, limit: number, signal?: AbortSignal): Promise<Uint8Array> {
  const declared = Number(answer.headers["content-length"] ?? 0);
  const tooLarge = () => new OrasError("too_large", `${shown(answer.url)}: answer over ${limit} bytes`);
  if (declared > limit) {
    answer.body.destroy();
    throw tooLarge();
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of bodyOf(answer, signal)) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(); // leaving the loop destroys the connection
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Frees the connection: reads a short body so that it can be used again, cuts a long one. */
export async function discard(answer: Answer): Promise<void> {
  try {
    await readBody(answer, 64 * 1024);
  } catch {
    answer.body.destroy(); // the body was of no interest, so how it failed is of none either
  }
}

/** A url for people: query strings carry signatures and upload state. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

function aborted(url: URL, signal: AbortSignal): OrasError {
  if (signal.reason instanceof OrasError) return signal.reason;
  const timedOut = signal.reason instanceof Error && signal.reason.name === "TimeoutError";
  return new OrasError(
    timedOut ? "timeout" : "aborted",
    `${shown(url)}: ${timedOut ? "deadline passed" : "aborted"}`,
    {
      cause: signal.reason,
    },
  );
}

function connectionError(error: unknown, url: URL, signal: AbortSignal | undefined): OrasError {
  if (error instanceof OrasError) return error;
  if (signal?.aborted === true) return aborted(url, signal);
  const reason = error instanceof Error ? error.message : String(error);
  return new OrasError("unavailable", `${shown(url)}: ${reason}`, { cause: error });
}
