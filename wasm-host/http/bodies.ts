import { Pollable } from "../wasi/p2/poll.ts";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import { InputStream, OutputStream } from "../wasi/p2/streams.ts";
import { suspending } from "../wasi/p2/waiting.ts";
import type { IncomingContent } from "./content.ts";
import { errorCodeOf, type HttpErrorCode } from "./error-code.ts";
import { Fields } from "./fields.ts";
import type { OutgoingPipe } from "./outgoing-pipe.ts";

/** The resource `incoming-body`. */
export class IncomingBody {
  readonly #content: IncomingContent;
  #taken = false;
  /** Whether the stream of its bytes is there: then this may be neither dropped nor finished. */
  #streaming = false;
  #finished = false;

  constructor(content: IncomingContent) {
    this.#content = content;
  }

  stream(): Result<InputStream, undefined> {
    if (this.#taken) return err(undefined);
    this.#taken = true;
    this.#streaming = true;
    const content = this.#content;
    const input = {
      source: content.source,
      read: (length: number) => content.read(length),
      close: () => {
        this.#streaming = false;
        content.close();
      },
    };
    return ok(new InputStream(input, suspending));
  }

  /** @throws Error, a trap, while its stream is there */
  static finish(body: IncomingBody): FutureTrailers {
    body.#requireNoStream("finish");
    body.#finished = true;
    body.#content.discard(); // what was not read must go by before the trailers come
    return new FutureTrailers(body.#content);
  }

  [Symbol.dispose](): void {
    if (this.#finished) return;
    this.#requireNoStream("drop");
    this.#content.drop();
  }

  #requireNoStream(what: string): void {
    if (this.#streaming) throw new Error(`incoming-body: ${what} before its input-stream is dropped`);
  }
}

/** The resource `future-trailers`. */
export class FutureTrailers {
  readonly #content: IncomingContent;
  #taken = false;

  constructor(content: IncomingContent) {
    this.#content = content;
  }

  subscribe(): Pollable {
    return new Pollable(this.#content.end, suspending);
  }

  get(): Result<Result<Fields | undefined, HttpErrorCode>, undefined> | undefined {
    if (!this.#content.end.ready()) return undefined;
    if (this.#taken) return err(undefined);
    this.#taken = true;
    try {
      const trailers = this.#content.trailers();
      return ok(ok(trailers.length === 0 ? undefined : Fields.fromRaw(trailers)));
    } catch (error) {
      return ok(err(errorCodeOf(error)));
    }
  }
}

/** The resource `outgoing-body`. */
export class OutgoingBody {
  readonly #pipe: OutgoingPipe;
  #taken = false;
  #streaming = false;
  #finished = false;

  constructor(pipe: OutgoingPipe) {
    this.#pipe = pipe;
  }

  write(): Result<OutputStream, undefined> {
    if (this.#taken) return err(undefined);
    this.#taken = true;
    this.#streaming = true;
    const pipe = this.#pipe;
    const sink = {
      source: pipe.source,
      capacity: () => pipe.capacity(),
      write: (bytes: Uint8Array) => pipe.write(bytes),
      flush: () => pipe.flush(),
      close: () => {
        this.#streaming = false;
      },
    };
    return ok(new OutputStream(sink, suspending));
  }

  /**
   * Ends the message. Fewer or more bytes than content-length announced are the guest's error, and break the message.
   * @throws Error, a trap, while its stream is there
   */
  static finish(body: OutgoingBody, trailers: Fields | undefined): Result<undefined, HttpErrorCode> {
    body.#requireNoStream("finish");
    body.#finished = true;
    const { mismatch } = body.#pipe;
    if (mismatch !== undefined) {
      body.#pipe.abort();
      return err(mismatch);
    }
    body.#pipe.end(trailers?.toRaw() ?? []);
    return done;
  }

  /** Dropped without finish: the message is incomplete, and its reader must be able to tell. */
  [Symbol.dispose](): void {
    if (this.#finished) return;
    this.#requireNoStream("drop");
    this.#finished = true;
    this.#pipe.abort();
  }

  #requireNoStream(what: string): void {
    if (this.#streaming) throw new Error(`outgoing-body: ${what} before its output-stream is dropped`);
  }
}
