import { Pollable } from "./poll.ts";
import { done, err, ok, type Result } from "./result.ts";
import { type Source, type Waiter, whenReady } from "./waiting.ts";

/** The resource `error` of wasi:io/error 0.2. */
export class IoError {
  readonly #cause: unknown;

  constructor(cause: unknown) {
    this.#cause = cause;
  }

  /** What was thrown, for `http-error-code` and `filesystem-error-code`. */
  get cause(): unknown {
    return this.#cause;
  }

  toDebugString(): string {
    return this.#cause instanceof Error ? this.#cause.message : String(this.#cause);
  }
}

export type StreamError =
  | { readonly tag: "closed" }
  | { readonly tag: "last-operation-failed"; readonly val: IoError };

/** Thrown by a source or sink that has no error to tell, only its end. */
export class StreamClosed extends Error {
  override readonly name = "StreamClosed";
}

const closed: Result<never, StreamError> = err({ tag: "closed" });

/** Where an input stream's bytes come from. */
export interface InputSource {
  readonly source: Source;
  /** Up to `length` bytes; empty when there are none yet, undefined at the end. Throws what the system said. */
  read(length: number): Uint8Array | undefined;
  /** A read is safe at any time, and most likely finds something. Without it, a blocking read waits before it reads. */
  readonly eager?: boolean;
  close(): void;
}

/** Where an output stream's bytes go to. */
export interface OutputSink {
  /** Ready when `capacity` is not 0 or the sink has failed. */
  readonly source: Source;
  /** How many bytes `write` may take now; undefined once closed. Throws what the system said about earlier bytes. */
  capacity(): number | undefined;
  write(bytes: Uint8Array): void;
  /** Ready when everything written has left; until then capacity is 0. */
  flush(): Source;
  close(): void;
}

/** One read is at most this: what a pipe holds. */
const largestRead = 65_536;

/** The resource `input-stream` of wasi:io/streams 0.2. */
export class InputStream {
  readonly #input: InputSource;
  readonly #waiter: Waiter;

  constructor(input: InputSource, waiter: Waiter) {
    this.#input = input;
    this.#waiter = waiter;
  }

  read(length: bigint): Result<Uint8Array, StreamError> {
    try {
      const bytes = this.#input.read(length < largestRead ? Number(length) : largestRead);
      return bytes === undefined ? closed : ok(bytes);
    } catch (error) {
      return failed(error);
    }
  }

  blockingRead(length: bigint): Result<Uint8Array, StreamError> | Promise<Result<Uint8Array, StreamError>> {
    const result = length === 0n || this.#input.eager === true ? this.read(length) : undefined;
    if (result !== undefined && (length === 0n || isSomething(result))) return result;
    return whenReady(this.#waiter, this.#input.source, () => {
      const later = this.read(length);
      return isSomething(later) ? later : this.blockingRead(length);
    });
  }

  skip(length: bigint): Result<bigint, StreamError> {
    return lengthOf(this.read(length));
  }

  async #skipLater(reading: Promise<Result<Uint8Array, StreamError>>): Promise<Result<bigint, StreamError>> {
    return lengthOf(await reading);
  }

  blockingSkip(length: bigint): Result<bigint, StreamError> | Promise<Result<bigint, StreamError>> {
    const result = this.blockingRead(length);
    return result instanceof Promise ? this.#skipLater(result) : lengthOf(result);
  }

  subscribe(): Pollable {
    return new Pollable(this.#input.source, this.#waiter);
  }

  [Symbol.dispose](): void {
    this.#input.close();
  }
}

/** The resource `output-stream` of wasi:io/streams 0.2. */
export class OutputStream {
  readonly #sink: OutputSink;
  readonly #waiter: Waiter;

  constructor(sink: OutputSink, waiter: Waiter) {
    this.#sink = sink;
    this.#waiter = waiter;
  }

  checkWrite(): Result<bigint, StreamError> {
    try {
      const capacity = this.#sink.capacity();
      return capacity === undefined ? closed : ok(BigInt(capacity));
    } catch (error) {
      return failed(error);
    }
  }

  write(contents: Uint8Array): Result<undefined, StreamError> {
    return this.#write("write", contents.length, () => contents);
  }

  /** `contents` are made only once it is certain that the sink takes so many. */
  #write(name: string, length: number | bigint, contents: () => Uint8Array): Result<undefined, StreamError> {
    try {
      const capacity = this.#sink.capacity();
      if (capacity === undefined) return closed;
      if (length > capacity)
        throw new RangeError(`output-stream.${name}: ${length} bytes where check-write allowed ${capacity}`);
      this.#sink.write(contents());
      return done;
    } catch (error) {
      if (error instanceof RangeError) throw error; // a broken promise of the guest's: a trap
      return failed(error);
    }
  }

  flush(): Result<undefined, StreamError> {
    try {
      this.#sink.flush();
      return done;
    } catch (error) {
      return failed(error);
    }
  }

  blockingFlush(): Result<undefined, StreamError> | Promise<Result<undefined, StreamError>> {
    try {
      return whenReady(this.#waiter, this.#sink.flush(), () => {
        const state = this.checkWrite();
        return state.tag === "err" && state.val.tag === "last-operation-failed" ? state : done;
      });
    } catch (error) {
      return failed(error);
    }
  }

  blockingWriteAndFlush(
    contents: Uint8Array,
  ): Result<undefined, StreamError> | Promise<Result<undefined, StreamError>> {
    if (contents.length === 0) return this.blockingFlush();
    return whenReady(this.#waiter, this.#sink.source, () => {
      const allowed = this.checkWrite();
      if (allowed.tag === "err") return allowed;
      const length = Math.min(Number(allowed.val), contents.length);
      const result = this.write(contents.subarray(0, length));
      return result.tag === "err" ? result : this.blockingWriteAndFlush(contents.subarray(length));
    });
  }

  writeZeroes(length: bigint): Result<undefined, StreamError> {
    return this.#write("write-zeroes", length, () => new Uint8Array(Number(length)));
  }

  blockingWriteZeroesAndFlush(
    length: bigint,
  ): Result<undefined, StreamError> | Promise<Result<undefined, StreamError>> {
    return this.blockingWriteAndFlush(new Uint8Array(Number(length)));
  }

  splice(source: InputStream, length: bigint): Result<bigint, StreamError> {
    const allowed = this.checkWrite();
    if (allowed.tag === "err") return allowed;
    return this.#pass(source.read(length < allowed.val ? length : allowed.val));
  }

  blockingSplice(
    source: InputStream,
    length: bigint,
  ): Result<bigint, StreamError> | Promise<Result<bigint, StreamError>> {
    return whenReady(this.#waiter, this.#sink.source, () => {
      const allowed = this.checkWrite();
      if (allowed.tag === "err") return allowed;
      const reading = source.blockingRead(length < allowed.val ? length : allowed.val);
      return reading instanceof Promise ? reading.then((result) => this.#pass(result)) : this.#pass(reading);
    });
  }

  #pass(read: Result<Uint8Array, StreamError>): Result<bigint, StreamError> {
    if (read.tag === "err") return read;
    const written = this.write(read.val);
    return written.tag === "err" ? written : ok(BigInt(read.val.length));
  }

  subscribe(): Pollable {
    return new Pollable(this.#sink.source, this.#waiter);
  }

  [Symbol.dispose](): void {
    this.#sink.close();
  }
}

function isSomething(result: Result<Uint8Array, StreamError>): boolean {
  return result.tag === "err" || result.val.length > 0;
}

function lengthOf(result: Result<Uint8Array, StreamError>): Result<bigint, StreamError> {
  return result.tag === "err" ? result : ok(BigInt(result.val.length));
}

function failed(error: unknown): Result<never, StreamError> {
  // EPIPE: nobody reads any more, which is no failure but the end of the stream.
  if (error instanceof StreamClosed || (error instanceof Error && "code" in error && error.code === "EPIPE"))
    return closed;
  return err({ tag: "last-operation-failed", val: new IoError(error) });
}
