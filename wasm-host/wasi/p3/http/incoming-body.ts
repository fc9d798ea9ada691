import type { IncomingMessage } from "node:http";
import { createMessageInput, failureOf, messageEnd } from "../../../http/bodies.ts";
import { errorCodeOf } from "../../../http/error-code.ts";
import { Fields } from "../../../http/fields.ts";
import { err, ok } from "../../p2/result.ts";
import { suspending } from "../../p2/waiting.ts";
import { type ChunkSource, chunksOf } from "../host-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";

/** The body of a message that came over the network. */
export class IncomingBody implements Body {
  readonly empty = false;
  readonly #message: IncomingMessage;
  readonly #chunks: ChunkSource<Uint8Array>;

  /** More than `limit` bytes fail with HTTP-request-body-size. */
  constructor(message: IncomingMessage, limit: number) {
    this.#message = message;
    this.#chunks = chunksOf(createMessageInput(message, limit));
    message.on("readable", () => {}); // paused, not flowing: the guest reads
    message.on("error", () => {}); // whoever reads learns of it
  }

  async next(most: number): Promise<Uint8Array | undefined> {
    return await this.#chunks.next(most);
  }

  async trailers(): Promise<Trailers> {
    await suspending.untilAny([messageEnd(this.#message)]);
    if (!this.#message.complete) return err(errorCodeOf(failureOf(this.#message)));
    const { rawTrailers } = this.#message;
    return ok(rawTrailers.length === 0 ? undefined : Fields.fromRaw(rawTrailers));
  }

  /** What is left of a request has to go by before the connection's next one; what is left of a response is not waited for. */
  drop(): void {
    if (this.#message.readableEnded) return;
    if (this.#message.statusCode === null) this.#message.removeAllListeners("readable").resume();
    else this.#message.destroy();
  }

  /** The peer has no way to learn of it but the connection's end. */
  settle(transmission: Transmission): void {
    if (transmission.tag === "err" && !this.#message.complete) this.#message.destroy();
  }
}
