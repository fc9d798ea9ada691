import { err, ok, type Result } from "../p2/result.ts";
import type { InputSource } from "../p2/streams.ts";
import { suspending, whenReady } from "../p2/waiting.ts";

/** One read is at most this: what a pipe holds. */
const largestRead = 65_536;

/** A stream as jco's glue takes it from the host; patched (src/image/glue-patches.ts), it tells `next` how much the guest takes. */
export interface HostStream<T> extends AsyncIterator<T, undefined, number | undefined> {
  [Symbol.asyncIterator](): HostStream<T>;
}

/** What a function returns that hands a stream to the guest: the stream, and a future of how it ended. */
export type StreamAndEnd<T, E> = [HostStream<T>, Promise<Result<undefined, E>>];

/** One chunk of `T`s; for bytes a Uint8Array, which the glue takes apart. */
export interface ChunkSource<T> {
  /** The next item, or up to `most` bytes; undefined at the end. Throws, or rejects with, what the system said. */
  next(most: number): T | undefined | Promise<T | undefined>;
  /** The guest has dropped the stream, or has come to its end. Called once. */
  close(): void;
}

/**
 * A stream that the guest reads: an item is asked for only when the guest waits for one. The promise resolves once the stream has
 * ended: with ok at its end and when the guest dropped it, with `toError` of what was thrown otherwise.
 */
export function hostStream<T, E>(source: ChunkSource<T>, toError: (error: unknown) => E): StreamAndEnd<T, E> {
  const { promise, resolve } = Promise.withResolvers<Result<undefined, E>>();
  const stream = iterate(source, (end) =>
    resolve(end.tag === "failed" ? err(toError(end.error)) : ok(undefined)),
  );
  return [stream, promise];
}

/** How a stream has ended: at its end, dropped by the guest before, or with what its source threw. */
export type End = { readonly tag: "ended" | "dropped" } | { readonly tag: "failed"; readonly error: unknown };

/** The stream alone; `onEnd` is called once. */
export function iterate<T>(source: ChunkSource<T>, onEnd: (end: End) => void): HostStream<T> {
  let open = true;
  const finish = (end: End): void => {
    if (!open) return;
    open = false;
    source.close();
    onEnd(end);
  };
  const iterator: HostStream<T> = {
    [Symbol.asyncIterator]: () => iterator,
    async next(most = largestRead) {
      if (!open) return { value: undefined, done: true };
      try {
        const value = await source.next(Math.min(most, largestRead));
        if (value !== undefined) return { value, done: false };
        finish({ tag: "ended" });
      } catch (error) {
        finish({ tag: "failed", error });
      }
      return { value: undefined, done: true };
    },
    async return() {
      finish({ tag: "dropped" });
      return { value: undefined, done: true };
    },
  };
  return iterator;
}

/** The bytes of a source of WASI 0.2's streams, waited for on the event loop. */
export function chunksOf(input: InputSource): ChunkSource<Uint8Array> {
  const next = (most: number): Uint8Array | undefined | Promise<Uint8Array | undefined> =>
    whenReady(suspending, input.source, () => {
      const bytes = input.read(most);
      return bytes?.length === 0 ? next(most) : bytes;
    });
  return { next, close: () => input.close() };
}

/** A stream that has ended before it began, for the reason given. */
export function failedStream<T, E>(error: E): StreamAndEnd<T, E> {
  const [stream] = hostStream<T, E>({ next: () => undefined, close() {} }, () => error);
  return [stream, Promise.resolve(err(error))];
}
