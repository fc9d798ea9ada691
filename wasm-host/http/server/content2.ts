import type { ServerHttp2Stream } from "node:http2";
import type { Source } from "../../wasi/p2/waiting.ts";
import type { IncomingContent } from "../content.ts";
import { errorCodeOf, HttpError } from "../error-code.ts";
import { Wakes } from "./wakes.ts";

const empty = new Uint8Array(0);

/** The body of a request of HTTP/2. Flow control is Node's: what is not read keeps the client from sending more. */
export class Content2 implements IncomingContent {
  readonly source: Source;
  readonly end: Source;
  readonly #stream: ServerHttp2Stream;
  readonly #maxBodyBytes: number;
  #received = 0;
  #ended = false;
  #failure: HttpError | undefined;
  #trailers: readonly string[] = [];
  readonly #wakes = new Wakes();

  constructor(stream: ServerHttp2Stream, maxBodyBytes: number) {
    this.#stream = stream;
    this.#maxBodyBytes = maxBodyBytes;
    this.#ended = stream.endAfterHeaders;
    stream.on("readable", () => this.#onReadable());
    stream.on("trailers", (_headers, _flags, rawTrailers: readonly string[]) => {
      this.#trailers = rawTrailers;
    });
    stream.on("end", () => this.#settle());
    stream.on("aborted", () => this.fail(new HttpError({ tag: "connection-terminated" })));
    stream.on("error", (error) => this.fail(new HttpError(errorCodeOf(error), { cause: error })));
    stream.on("close", () => this.fail(new HttpError({ tag: "connection-terminated" })));
    const watch = (wake: () => void): (() => void) => this.#wakes.add(wake);
    this.source = { ready: () => stream.readableLength > 0 || this.settled, watch };
    this.end = { ready: () => this.settled, watch };
  }

  /** Whether somebody waits for it, so that the client is expected to send. */
  get awaited(): boolean {
    return !this.settled && this.#wakes.size > 0;
  }

  get settled(): boolean {
    return this.#ended || this.#failure !== undefined;
  }

  read(length: number): Uint8Array | undefined {
    const available = Math.min(length, this.#stream.readableLength);
    const chunk: unknown = available === 0 ? null : this.#stream.read(available);
    if (Buffer.isBuffer(chunk)) {
      this.#received += chunk.length;
      if (this.#received > this.#maxBodyBytes)
        this.fail(new HttpError({ tag: "HTTP-request-body-size", val: BigInt(this.#received) }));
      else {
        if (this.#stream.readableLength === 0) this.#stream.read(0); // at the end, it is what makes Node say so
        return chunk;
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
    return this.#ended ? undefined : empty;
  }

  close(): void {}

  trailers(): readonly string[] {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#trailers;
  }

  discard(): void {
    if (!this.settled) this.#stream.removeAllListeners("readable").resume();
  }

  drop(): void {
    this.discard();
  }

  fail(error: HttpError): void {
    if (this.settled) return;
    this.#failure = error;
    this.#wakes.wake();
  }

  #onReadable(): void {
    if (this.#stream.readableLength === 0) this.#stream.read(0);
    this.#wakes.wake();
  }

  #settle(): void {
    if (this.settled) return;
    this.#ended = true;
    this.#wakes.wake();
  }
}
