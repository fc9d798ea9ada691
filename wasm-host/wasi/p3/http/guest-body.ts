import type { GuestStream } from "../guest-stream.ts";
import type { Body, Trailers, Transmission } from "./body.ts";

/** A body that the guest made: the `contents` and `trailers` that it gave to `new`. */
export class GuestBody implements Body {
  readonly empty: boolean;
  /** What `new` returns beside the message: resolves once somebody has said how the message was transmitted. */
  readonly transmitted: Promise<Transmission>;
  readonly #stream: GuestStream | undefined;
  readonly #trailers: PromiseLike<Trailers>;
  readonly #settle: (transmission: Transmission) => void;
  #ended = false;
  #reading: Promise<Trailers> | undefined;

  constructor(stream: GuestStream | undefined, trailers: PromiseLike<Trailers>) {
    this.#stream = stream;
    this.#trailers = trailers;
    this.empty = stream === undefined;
    const { promise, resolve } = Promise.withResolvers<Transmission>();
    this.transmitted = promise;
    this.#settle = resolve;
  }

  async next(most: number): Promise<Uint8Array | undefined> {
    // Taken from the beginning: a guest may wait for that before it ends the stream of bytes.
    this.trailers().catch(() => {});
    while (this.#stream !== undefined && !this.#ended) {
      const { value, done } = await this.#stream.read({ count: most });
      this.#ended = done;
      if (value !== undefined && value.length > 0) return value;
    }
    return undefined;
  }

  trailers(): Promise<Trailers> {
    this.#reading ??= Promise.resolve(this.#trailers);
    return this.#reading;
  }

  drop(): void {
    if (!this.#ended) this.#stream?.[Symbol.dispose]();
    this.#ended = true;
    // A future cannot be dropped by its reader in jco's glue: it is read, and what it says goes nowhere.
    this.trailers().catch(() => {});
  }

  settle(transmission: Transmission): void {
    this.#settle(transmission);
  }
}
