import type { IncomingMessage } from "node:http";
import type { Source } from "../wasi/p2/waiting.ts";
import type { IncomingContent } from "./content.ts";
import { errorCodeOf, HttpError } from "./error-code.ts";

const empty = new Uint8Array(0);

/** The content of a response that Node's client has received. */
export class NodeIncoming implements IncomingContent {
  readonly source: Source;
  readonly end: Source;
  readonly #message: IncomingMessage;

  constructor(message: IncomingMessage) {
    this.#message = message;
    message.on("readable", () => {}); // paused, not flowing: the guest reads
    message.on("error", () => {}); // whoever reads learns of it
    this.source = {
      ready: () => message.readableLength > 0 || message.readableEnded || message.destroyed,
      watch: (wake) => this.#watch(wake),
    };
    this.end = {
      ready: () => message.readableEnded || message.destroyed,
      watch: (wake) => listen(message, ["end", "error", "close"], wake),
    };
  }

  read(length: number): Uint8Array | undefined {
    const message = this.#message;
    const available = Math.min(length, message.readableLength);
    const chunk: unknown = available === 0 ? null : message.read(available);
    if (Buffer.isBuffer(chunk)) return chunk;
    if (message.readableEnded) return undefined;
    if (message.destroyed && message.readableLength === 0) {
      if (message.complete) return undefined;
      throw this.#failure();
    }
    return empty;
  }

  close(): void {}

  trailers(): readonly string[] {
    if (!this.#message.complete) throw this.#failure();
    return this.#message.rawTrailers;
  }

  discard(): void {
    if (!this.#message.readableEnded) this.#message.removeAllListeners("readable").resume();
  }

  drop(): void {
    if (!this.#message.readableEnded) this.#message.destroy();
  }

  #failure(): HttpError {
    const { errored } = this.#message;
    return errored === null
      ? new HttpError({ tag: "HTTP-response-incomplete" })
      : new HttpError(errorCodeOf(errored), { cause: errored });
  }

  #watch(wake: () => void): () => void {
    const message = this.#message;
    const onEvent = (): void => {
      if (message.readableLength === 0) message.read(0); // asks for more; at the end it is what makes Node emit `end`
      wake();
    };
    if (message.readableLength === 0) message.read(0);
    return listen(message, ["readable", "end", "error", "close"], onEvent);
  }
}

function listen(message: IncomingMessage, events: readonly string[], wake: () => void): () => void {
  for (const event of events) message.on(event, wake);
  return () => {
    for (const event of events) message.off(event, wake);
  };
}
