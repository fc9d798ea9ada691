import type { InputSource, OutputSink } from "../wasi/p2/streams.ts";
import type { Source } from "../wasi/p2/waiting.ts";

/** The content of a message that comes over the network, whatever the version of HTTP: bytes, then trailers. */
export interface IncomingContent extends InputSource {
  /** Ready once nothing of it will come any more. */
  readonly end: Source;
  /**
   * Names and values in turn, once `end` is ready.
   * @throws HttpError for what broke the message
   */
  trailers(): readonly string[];
  /** What has not been read is not wanted: it goes by, and the trailers come. */
  discard(): void;
  /** The message itself is not wanted: where nothing else depends on it, its connection goes. */
  drop(): void;
}

/** The content of a message that goes out. */
export interface OutgoingContent extends OutputSink {
  /** The message is whole. Nothing can be written any more. */
  end(trailers: readonly (readonly [name: string, value: string])[]): void;
  /** The message is not whole and will not be, and its reader must be able to tell: the connection or stream is broken. */
  abort(): void;
  /** Ready once nothing can be written any more: after `end` has been sent, or when it is broken. */
  readonly finished: Source;
  /** What broke it. */
  readonly failure: Error | undefined;
}
