import type { Source } from "../../wasi/p2/waiting.ts";
import type { IncomingContent } from "../content.ts";
import { HttpError } from "../error-code.ts";
import { ChunkDecoder, type ChunkLimits } from "./chunk-decoder.ts";
import { noFields } from "./field-section.ts";
import type { Framing } from "./request-head.ts";
import { Wakes } from "./wakes.ts";

/** Where the bytes of a body come from: the connection. */
export interface Inlet {
  /**
   * The next bytes, which are valid until the next call; undefined when there are none now. Empty at the end of the connection.
   */
  receive(): Buffer | undefined;
  /** Bytes that belong to the next request. */
  giveBack(bytes: Buffer): void;
  /** Tells the client to send the body, when it waits for that. */
  sendContinue(): void;
  /** Somebody waits for bytes, or does not any more. */
  wanted(wanted: boolean): void;
  /** Nothing comes any more, one way or the other. */
  contentEnded(): void;
}

export interface ContentLimits extends ChunkLimits {
  readonly maxBodyBytes: number;
}

const empty = new Uint8Array(0);

/** The body of a request of HTTP/1: read from its connection when the guest asks for it, and not before. */
export class Content1 implements IncomingContent {
  readonly source: Source;
  readonly end: Source;
  readonly #inlet: Inlet;
  readonly #limits: ContentLimits;
  /** Bytes that are still to come; of chunks, the decoder knows. */
  #left: number;
  readonly #chunks: ChunkDecoder | undefined;
  #pieces: Buffer[] = [];
  #received = 0;
  #ended: boolean;
  #failure: HttpError | undefined;
  #discarding = false;
  /** Whether the connection had nothing the last time; it says when that has changed. */
  #dry = false;
  readonly #readers = new Wakes();
  readonly #enders = new Wakes();

  constructor(inlet: Inlet, framing: Framing, limits: ContentLimits) {
    this.#inlet = inlet;
    this.#limits = limits;
    this.#chunks = framing === "chunked" ? new ChunkDecoder(limits) : undefined;
    this.#left = framing === "chunked" ? 0 : framing.length;
    this.#ended = framing !== "chunked" && framing.length === 0;
    this.source = {
      ready: () => {
        if (!this.#isReadable()) this.#pull();
        return this.#isReadable();
      },
      watch: (wake) => this.#watch(this.#readers, wake),
    };
    this.end = { ready: () => this.settled, watch: (wake) => this.#watch(this.#enders, wake) };
  }

  /** Whether nothing of it will come any more. */
  get settled(): boolean {
    return this.#ended || this.#failure !== undefined;
  }

  /** Whether somebody waits for it, so that the client is expected to send. */
  get awaited(): boolean {
    return !this.settled && (this.#discarding || this.#readers.size + this.#enders.size > 0);
  }

  get ended(): boolean {
    return this.#ended;
  }

  read(length: number): Uint8Array | undefined {
    if (this.#pieces.length === 0) this.#pull();
    const [piece] = this.#pieces;
    if (piece === undefined) {
      if (this.#failure !== undefined) throw this.#failure;
      return this.#ended ? undefined : empty;
    }
    if (piece.length <= length) {
      this.#pieces.shift();
      return piece;
    }
    this.#pieces[0] = piece.subarray(length);
    return piece.subarray(0, length);
  }

  /** The stream of its bytes was dropped; what is left is dealt with when it is known what the guest wants of it. */
  close(): void {}

  trailers(): readonly string[] {
    if (this.#failure !== undefined) throw this.#failure;
    return (this.#chunks?.trailers ?? noFields).toRaw();
  }

  discard(): void {
    this.#discarding = true;
    this.#pieces = [];
    if (this.settled) return;
    this.#inlet.wanted(true);
    this.#pull();
  }

  /** Others may come over the connection: that is for the exchange to say. */
  drop(): void {
    this.discard();
  }

  /** The connection has bytes again. */
  onReadable(): void {
    this.#dry = false;
    if (this.#discarding) this.#pull();
    else this.#readers.wake();
  }

  /** The connection is gone. */
  fail(error: HttpError): void {
    if (this.settled) return;
    this.#failure = error;
    this.#settle();
  }

  #isReadable(): boolean {
    return this.#pieces.length > 0 || this.settled;
  }

  #watch(wakes: Wakes, wake: () => void): () => void {
    const stop = wakes.add(wake);
    if (!this.settled) this.#inlet.wanted(true);
    return () => {
      stop();
      if (!this.#discarding) this.#inlet.wanted(this.#readers.size + this.#enders.size > 0);
    };
  }

  /** Takes what the connection has: one piece for a reader, everything when nobody wants it. */
  #pull(): void {
    // What nobody wants must not keep the others from their turn.
    for (let left = 16; left > 0 && !this.settled && !this.#dry && this.#pieces.length === 0; left--) {
      this.#inlet.sendContinue();
      const bytes = this.#inlet.receive();
      if (bytes === undefined) {
        this.#dry = true;
      } else if (bytes.length === 0) {
        this.#failure = new HttpError({ tag: "connection-terminated" });
        this.#settle();
      } else {
        this.#take(bytes);
      }
    }
  }

  #take(bytes: Buffer): void {
    try {
      const taken =
        this.#chunks === undefined ? this.#takeCounted(bytes) : this.#takeChunks(bytes, this.#chunks);
      if (taken < bytes.length) this.#inlet.giveBack(bytes.subarray(taken));
    } catch (error) {
      this.#failure =
        error instanceof HttpError ? error : new HttpError({ tag: "HTTP-protocol-error" }, { cause: error });
    }
    if (this.settled) this.#settle();
  }

  #takeCounted(bytes: Buffer): number {
    const piece = bytes.subarray(0, this.#left);
    this.#left -= piece.length;
    this.#add(piece);
    this.#ended = this.#left === 0;
    return piece.length;
  }

  #takeChunks(bytes: Buffer, chunks: ChunkDecoder): number {
    const taken = chunks.take(bytes, (piece) => this.#add(piece));
    this.#ended = chunks.done;
    return taken;
  }

  #add(piece: Buffer): void {
    this.#received += piece.length;
    if (this.#received > this.#limits.maxBodyBytes)
      throw new HttpError({ tag: "HTTP-request-body-size", val: BigInt(this.#received) });
    // The connection's buffer is everybody's.
    if (!this.#discarding) this.#pieces.push(Buffer.from(piece));
  }

  #settle(): void {
    this.#inlet.wanted(false);
    this.#readers.wake();
    this.#enders.wake();
    this.#inlet.contentEnded();
  }
}
