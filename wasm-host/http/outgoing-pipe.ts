import type { OutputSink } from "../wasi/p2/streams.ts";
import { alwaysReady, type Source } from "../wasi/p2/waiting.ts";
import type { OutgoingContent } from "./content.ts";
import { HttpError, type HttpErrorCode } from "./error-code.ts";
import type { RawHeaders } from "./exchange.ts";
import { Wakes } from "./server/wakes.ts";

/** Accepted before the message is open. */
const bufferBytes = 65_536;

export interface PipeOptions {
  /** What content-length has announced. */
  readonly length: number | undefined;
  /** How the guest is told of more or fewer bytes. */
  readonly wrongLength: "HTTP-request-body-size" | "HTTP-response-body-size";
}

/**
 * The body of an outgoing message, as the guest has it. It may write before the message is open, or even before it has set the response
 * that the body belongs to: up to 64 KiB are kept until `attach`. After that, the network's back-pressure is the guest's.
 */
export class OutgoingPipe implements OutputSink {
  readonly source: Source;
  #written = 0;
  readonly #options: PipeOptions;
  #content: OutgoingContent | undefined;
  #early: Buffer[] = [];
  #end: RawHeaders | "abort" | undefined;
  #tooMuch: HttpError | undefined;
  readonly #wakes = new Wakes();

  constructor(options: PipeOptions) {
    this.#options = options;
    this.source = {
      ready: () => this.#content?.source.ready() ?? (this.#end !== undefined || this.#written < bufferBytes),
      watch: (wake) => this.#content?.source.watch?.(wake) ?? this.#wakes.add(wake),
    };
  }

  /** Why there are not as many bytes as announced; undefined when there are. */
  get mismatch(): HttpErrorCode | undefined {
    const { length, wrongLength } = this.#options;
    return length === undefined || length === this.#written
      ? undefined
      : { tag: wrongLength, val: BigInt(this.#written) };
  }

  /** Sends what was written early, and everything from now on. */
  attach(content: OutgoingContent): void {
    this.#content = content;
    for (const bytes of this.#early.splice(0)) content.write(bytes);
    if (this.#end === "abort") content.abort();
    else if (this.#end !== undefined) content.end(this.#end);
    this.#wakes.wake();
  }

  capacity(): number | undefined {
    if (this.#tooMuch !== undefined) throw this.#tooMuch;
    if (this.#content !== undefined) return this.#content.capacity();
    return this.#end === undefined ? Math.max(0, bufferBytes - this.#written) : undefined;
  }

  /** The bytes are a view of the guest's memory, which does not keep them. */
  write(bytes: Uint8Array): void {
    this.#written += bytes.length;
    const { length, wrongLength } = this.#options;
    if (length !== undefined && this.#written > length) {
      this.#tooMuch = new HttpError({ tag: wrongLength, val: BigInt(this.#written) });
      throw this.#tooMuch;
    }
    if (this.#content === undefined) this.#early.push(Buffer.from(bytes));
    else this.#content.write(bytes);
  }

  flush(): Source {
    return this.#content?.flush() ?? (this.#written < bufferBytes ? alwaysReady : this.source);
  }

  close(): void {}

  end(trailers: RawHeaders): void {
    this.#finish(trailers);
    this.#content?.end(trailers);
  }

  abort(): void {
    this.#finish("abort");
    this.#content?.abort();
  }

  #finish(end: RawHeaders | "abort"): void {
    this.#end ??= end;
    this.#wakes.wake();
  }
}
