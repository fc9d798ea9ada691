import type { ClientRequest } from "node:http";
import type { Source } from "../wasi/p2/waiting.ts";
import type { OutgoingContent } from "./content.ts";
import { errorCodeOf, HttpError } from "./error-code.ts";
import type { RawHeaders } from "./exchange.ts";

/** One write is at most this. */
const largestWrite = 65_536;

/** The content of a request that Node's client sends. */
export class NodeOutgoing implements OutgoingContent {
  readonly source: Source;
  readonly finished: Source;
  readonly #message: ClientRequest;

  constructor(message: ClientRequest) {
    this.#message = message;
    this.source = {
      ready: () => message.destroyed || message.writableEnded || !message.writableNeedDrain,
      watch: (wake) => listen(message, ["drain", "error", "close"], wake),
    };
    this.finished = {
      ready: () => message.destroyed || message.writableFinished,
      watch: (wake) => listen(message, ["finish", "error", "close"], wake),
    };
  }

  get failure(): Error | undefined {
    const { errored, destroyed, writableFinished } = this.#message;
    if (errored !== null) return errored instanceof HttpError ? errored : new HttpError(errorCodeOf(errored));
    return destroyed && !writableFinished ? new HttpError({ tag: "connection-terminated" }) : undefined;
  }

  capacity(): number | undefined {
    const { failure } = this;
    if (failure !== undefined) throw failure;
    if (this.#message.destroyed || this.#message.writableEnded) return undefined;
    return this.#message.writableNeedDrain ? 0 : largestWrite;
  }

  write(bytes: Uint8Array): void {
    this.#message.write(Buffer.from(bytes));
  }

  flush(): Source {
    return this.source;
  }

  close(): void {}

  end(trailers: RawHeaders): void {
    if (this.#message.destroyed) return;
    if (trailers.length > 0) this.#message.addTrailers(trailers as [string, string][]);
    this.#message.end();
  }

  abort(): void {
    this.#message.destroy();
  }
}

function listen(message: ClientRequest, events: readonly string[], wake: () => void): () => void {
  for (const event of events) message.on(event, wake);
  return () => {
    for (const event of events) message.off(event, wake);
  };
}
