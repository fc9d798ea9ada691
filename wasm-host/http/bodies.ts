import type { IncomingMessage } from "node:http";
import { Pollable } from "../wasi/p2/poll.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { type InputSource, InputStream, OutputStream } from "../wasi/p2/streams.ts";
import { type Source, suspending } from "../wasi/p2/waiting.ts";
import { errorCodeOf, HttpError, type HttpErrorCode } from "./error-code.ts";
import { Fields } from "./fields.ts";
import type { OutgoingPipe } from "./outgoing-pipe.ts";

/** The resource `incoming-body`. */
export class IncomingBody {
  readonly #message: IncomingMessage;
  readonly #limit: number;
  #taken = false;

  /** A body longer than `limit` bytes fails with HTTP-request-body-size. */
  constructor(message: IncomingMessage, limit: number) {
    this.#message = message;
    this.#limit = limit;
  }

  stream(): Result<InputStream, undefined> {
    if (this.#taken) return err(undefined);
    this.#taken = true;
    return ok(new InputStream(createMessageInput(this.#message, this.#limit), suspending));
  }

  static finish(body: IncomingBody): FutureTrailers {
    body.#message.removeAllListeners("readable").resume(); // what was not read must go before the trailers come
    return new FutureTrailers(body.#message);
  }
}

/** The resource `future-trailers`. */
export class FutureTrailers {
  readonly #message: IncomingMessage;
  #taken = false;

  constructor(message: IncomingMessage) {
    this.#message = message;
  }

  subscribe(): Pollable {
    return new Pollable(messageEnd(this.#message), suspending);
  }

  get(): Result<Result<Fields | undefined, HttpErrorCode>, undefined> | undefined {
    if (!messageEnd(this.#message).ready()) return undefined;
    if (this.#taken) return err(undefined);
    this.#taken = true;
    if (!this.#message.complete) return ok(err(errorCodeOf(failureOf(this.#message))));
    const { rawTrailers } = this.#message;
    return ok(ok(rawTrailers.length === 0 ? undefined : Fields.fromRaw(rawTrailers)));
  }
}

/** The resource `outgoing-body`. */
export class OutgoingBody {
  readonly #pipe: OutgoingPipe;
  readonly #contentLength: number | undefined;
  #taken = false;
  #finished = false;

  constructor(pipe: OutgoingPipe, contentLength: number | undefined) {
    this.#pipe = pipe;
    this.#contentLength = contentLength;
  }

  write(): Result<OutputStream, undefined> {
    if (this.#taken) return err(undefined);
    this.#taken = true;
    return ok(new OutputStream(this.#pipe, suspending));
  }

  /** Ends the message. Fewer or more bytes than content-length announced are the guest's error, and break the message. */
  static finish(body: OutgoingBody, trailers: Fields | undefined): Result<undefined, HttpErrorCode> {
    body.#finished = true;
    const { written } = body.#pipe;
    if (body.#contentLength !== undefined && body.#contentLength !== written) {
      body.#pipe.abort();
      return err({ tag: "HTTP-response-body-size", val: BigInt(written) });
    }
    body.#pipe.end(trailers?.toRaw() ?? []);
    return done;
  }

  /** Dropped without finish: the message is incomplete, and its reader must be able to tell. */
  [Symbol.dispose](): void {
    if (!this.#finished) this.#pipe.abort();
  }
}

/** The bytes of a message as they arrive; more than `limit` of them fail with HTTP-request-body-size. */
export function createMessageInput(message: IncomingMessage, limit: number): InputSource {
  let received = 0;
  return {
    source: {
      ready: () => message.readableLength > 0 || message.readableEnded || message.destroyed,
      watch(wake) {
        const ask = (): void => {
          if (message.readableLength === 0) message.read(0); // at the end it is what makes Node emit `end`
        };
        const onEvent = (): void => {
          ask();
          wake();
        };
        const stop = listen(message, ["readable", "end", "error", "close"], onEvent);
        ask();
        return stop;
      },
    },
    read(length) {
      const chunk: unknown = length === 0 ? null : message.read(Math.min(length, message.readableLength));
      if (Buffer.isBuffer(chunk)) {
        received += chunk.length;
        if (received > limit) throw new HttpError({ tag: "HTTP-request-body-size", val: BigInt(received) });
        return chunk;
      }
      if (message.readableEnded) return undefined;
      if (message.destroyed && message.readableLength === 0) {
        if (message.complete) return undefined;
        throw failureOf(message);
      }
      return new Uint8Array(0);
    },
    close() {},
  };
}

/** Why a message ended before its end. */
export function failureOf(message: IncomingMessage): Error {
  return message.errored ?? new HttpError({ tag: "connection-terminated" });
}

/** Ready once nothing of the message will come any more. */
export function messageEnd(message: IncomingMessage): Source {
  return {
    ready: () => message.readableEnded || message.destroyed,
    watch: (wake) => listen(message, ["end", "error", "close"], wake),
  };
}

function listen(message: IncomingMessage, events: readonly string[], wake: () => void): () => void {
  for (const event of events) message.on(event, wake);
  return () => {
    for (const event of events) message.off(event, wake);
  };
}
