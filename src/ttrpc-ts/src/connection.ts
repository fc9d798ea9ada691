import type { Socket } from "node:net";
import { FrameDecoder, type FrameSink } from "./frame.ts";

export interface ConnectionSink extends FrameSink {
  /** Once, when the socket is gone, with the error that ended it if there was one. */
  onClose(error: Error | undefined): void;
}

export interface ConnectionOptions {
  /** Reading stops while received messages nobody has consumed hold more than this. */
  readonly maxBufferedBytes: number;
  /** Whether reading also stops while the peer does not read. Only one side may, or both could wait for each other. */
  readonly pauseOnBacklog: boolean;
}

/** A socket that speaks frames: decodes what arrives, writes whole frames, keeps both directions bounded. */
export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  #drainWaiters: (() => void)[] = [];
  #heldBytes = 0;
  #backlog = false;
  #paused = false;

  constructor(socket: Socket, sink: ConnectionSink, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const decoder = new FrameDecoder(sink);
    let failure: Error | undefined;
    socket.on("data", (chunk: Buffer) => decoder.push(chunk));
    // EPIPE and ECONNRESET are ordinary ends of a peer; without a listener they would end the process.
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("drain", () => this.#drained());
    socket.on("close", () => {
      this.#drained();
      sink.onClose(failure);
    });
  }

  get writable(): boolean {
    return this.#socket.writable;
  }

  /** Writes one whole frame, contiguously; dropped when the peer is gone. */
  write(frame: Buffer): void {
    if (!this.#socket.writable) return;
    if (this.#socket.write(frame)) return;
    this.#backlog = true;
    this.#updateReading();
  }

  /** Resolves when the peer has read enough to write more, or is gone; undefined when there is nothing to wait for. */
  drained(): Promise<void> | undefined {
    if (!this.#backlog || !this.#socket.writable) return undefined;
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#updateReading();
  }

  release(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#updateReading();
  }

  /** Sends what is queued, then closes; a peer that does not read is cut off after `flushTimeoutMs`. */
  end(flushTimeoutMs: number): void {
    if (this.#socket.destroyed) return;
    this.#socket.end(() => this.#socket.destroy());
    const timer = setTimeout(() => this.#socket.destroy(), flushTimeoutMs);
    this.#socket.once("close", () => clearTimeout(timer));
  }

  #drained(): void {
    this.#backlog = false;
    this.#updateReading();
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resume of waiters) resume();
  }

  #updateReading(): void {
    const pause =
      this.#heldBytes > this.#options.maxBufferedBytes || (this.#backlog && this.#options.pauseOnBacklog);
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#socket.pause();
    else this.#socket.resume();
  }
}
