/**
 * A `stream<u8>` that the guest has handed to the host, as jco's glue gives it: the host's is the readable end. Whoever takes one
 * reads it to its end or disposes of it, else the guest's writer waits for ever.
 */
export interface GuestStream {
  /** Resolves with up to `count` bytes as soon as there are some; `done` once the guest has dropped its end. */
  read(options: { readonly count: number }): Promise<{ readonly value?: Uint8Array; readonly done: boolean }>;
  /** Drops the readable end: the guest's writer learns of it. */
  [Symbol.dispose](): void;
}

/** One read is at most this: what a pipe holds. */
const largestRead = 65_536;

/**
 * Passes everything that the guest writes to `write`, one chunk at a time, until the guest drops its end. Resolves with what `write`
 * threw, having dropped the stream then; undefined when all went well.
 */
export async function pump(
  stream: GuestStream,
  write: (bytes: Uint8Array) => void | Promise<void>,
): Promise<unknown> {
  for (;;) {
    const { value, done } = await stream.read({ count: largestRead });
    try {
      if (value !== undefined && value.length > 0) await write(value);
    } catch (error) {
      stream[Symbol.dispose]();
      return error;
    }
    if (done) return undefined;
  }
}
