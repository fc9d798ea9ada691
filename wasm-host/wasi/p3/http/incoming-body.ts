import type { IncomingContent } from "../../../http/content.ts";
import { errorCodeOf } from "../../../http/error-code.ts";
import { err, ok } from "../../p2/result.ts";
import { suspending } from "../../p2/waiting.ts";
import { type ChunkSource, chunksOf } from "../host-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";
import { Fields } from "./fields.ts";

/** The body of a message that came over the network. */
export class IncomingBody implements Body {
  readonly empty = false;
  readonly #content: IncomingContent;
  readonly #chunks: ChunkSource<Uint8Array>;

  constructor(content: IncomingContent) {
    this.#content = content;
    this.#chunks = chunksOf(content);
  }

  async next(most: number): Promise<Uint8Array | undefined> {
    return await this.#chunks.next(most);
  }

  async trailers(): Promise<Trailers> {
    await suspending.untilAny([this.#content.end]);
    try {
      const trailers = this.#content.trailers();
      return ok(trailers.length === 0 ? undefined : Fields.fromRaw(trailers));
    } catch (error) {
      return err(errorCodeOf(error));
    }
  }

  /** What is left of a request has to go by before the connection's next one; what is left of a response is not waited for. */
  drop(): void {
    this.#content.drop();
  }

  /** The peer has no way to learn of it but the connection's end. */
  settle(transmission: Transmission): void {
    if (transmission.tag === "err" && !this.#content.end.ready()) this.#content.drop();
  }
}
