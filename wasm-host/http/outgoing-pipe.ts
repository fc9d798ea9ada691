import type { ClientRequest, ServerResponse } from "node:http";
import type { OutputSink } from "../wasi/p2/streams.ts";
import type { Source } from "../wasi/p2/waiting.ts";

type Message = ServerResponse | ClientRequest;

/** Accepted while the message is not open yet, or its peer reads slowly. */
const bufferBytes = 65_536;

/**
 * Body of an outgoing message. A guest may write before it has set the response that the body belongs to: up to 64 KiB are
 * kept until `attach`. After that, Node's high-water mark is the back-pressure: nothing is taken while the message waits for
 * `drain`.
 */
export class OutgoingPipe implements OutputSink {
  readonly source: Source;
  written = 0;
  #message: Message | undefined;
  #early: Uint8Array[] = [];
  #end: (() => void) | undefined;
  #aborted = false;
  readonly #wakes = new Set<() => void>();

  constructor() {
    this.source = {
      ready: () => this.#failure() !== undefined || this.capacity() !== 0,
      watch: (wake) => {
        this.#wakes.add(wake);
        return () => this.#wakes.delete(wake);
      },
    };
  }

  /** Sends what was written early, and everything from now on. */
  attach(message: Message): void {
    this.#message = message;
    for (const event of ["drain", "error", "close"]) message.on(event, () => this.#wake());
    if (this.#aborted) message.destroy();
    for (const bytes of this.#early.splice(0)) message.write(bytes);
    this.#end?.();
    this.#wake();
  }

  capacity(): number | undefined {
    const failure = this.#failure();
    if (failure !== undefined) throw failure;
    if (this.#message === undefined) return Math.max(0, bufferBytes - this.written);
    if (this.#message.destroyed || this.#message.writableEnded) return undefined;
    return this.#message.writableNeedDrain ? 0 : bufferBytes;
  }

  /** The bytes are a view of the guest's memory, which does not keep them. */
  write(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    this.written += copy.length;
    if (this.#message === undefined) this.#early.push(copy);
    else this.#message.write(copy);
  }

  /** Flushed means that there is room again; waiting for each chunk to reach the kernel would cost a turn of the loop. */
  flush(): Source {
    return this.source;
  }

  close(): void {}

  end(trailers: readonly [string, string][]): void {
    this.#end = () => {
      const message = this.#message;
      if (message === undefined || message.destroyed) return;
      if (trailers.length > 0) message.addTrailers(trailers);
      message.end();
    };
    this.#end();
  }

  abort(): void {
    this.#aborted = true;
    this.#message?.destroy();
  }

  #failure(): Error | undefined {
    return this.#message?.errored ?? undefined;
  }

  #wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}
