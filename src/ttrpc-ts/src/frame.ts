import { TtrpcError } from "./error.ts";

/** Length of the header in front of every payload: length, stream id (big endian), type, flags. */
export const frameHeaderLength = 10;

/** The longest payload ttrpc allows; containerd/ttrpc `messageLengthMax`. */
export const maxPayloadLength = 4 * 1024 * 1024;

export const frameTypes = { request: 1, response: 2, data: 3 } as const;
export const frameFlags = { remoteClosed: 0x01, remoteOpen: 0x02, noData: 0x04 } as const;

/** What precedes a payload; `length` is the peer's claim and may exceed {@link maxPayloadLength}. */
export interface FrameHeader {
  readonly length: number;
  readonly streamId: number;
  readonly type: number;
  readonly flags: number;
}

/** Receives what a {@link FrameDecoder} finds. */
export interface FrameSink {
  /** A whole frame. `payload` may be a view of the chunk that was pushed. */
  onFrame(header: FrameHeader, payload: Uint8Array): void;
  /** A frame longer than allowed: told once, when its header is known; its payload is skipped and never delivered. */
  onOversize(header: FrameHeader): void;
}

const emptyPayload = new Uint8Array(0);

/**
 * Incremental decoder: bytes in, frames out, no socket. A frame that lies whole in a chunk is delivered without a copy;
 * otherwise at most one header and one payload of {@link maxPayloadLength} are kept.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #head = Buffer.alloc(frameHeaderLength);
  #headFilled = 0;
  #header: FrameHeader | undefined;
  #payload: Uint8Array = emptyPayload;
  #payloadFilled = 0;
  #skip = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Bytes kept for a frame that is not complete yet. */
  get bufferedBytes(): number {
    return this.#headFilled + this.#payload.length;
  }

  /** Takes the next bytes of the connection, in any split. Never throws of itself; what the sink throws passes through. */
  push(bytes: Uint8Array): void {
    const chunk = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
      } else if (this.#header !== undefined) {
        at = this.#continuePayload(this.#header, chunk, at);
      } else if (this.#headFilled === 0 && chunk.length - at >= frameHeaderLength) {
        at = this.#startPayload(readHeader(chunk, at), chunk, at + frameHeaderLength);
      } else {
        at = this.#continueHeader(chunk, at);
      }
    }
  }

  #continueHeader(chunk: Buffer, start: number): number {
    const copied = chunk.copy(this.#head, this.#headFilled, start);
    this.#headFilled += copied;
    if (this.#headFilled < frameHeaderLength) return start + copied;
    this.#headFilled = 0;
    return this.#startPayload(readHeader(this.#head, 0), chunk, start + copied);
  }

  #startPayload(header: FrameHeader, chunk: Buffer, start: number): number {
    if (header.length > maxPayloadLength) {
      this.#skip = header.length;
      this.#sink.onOversize(header);
      return start;
    }
    const end = start + header.length;
    if (end <= chunk.length) {
      this.#sink.onFrame(header, chunk.subarray(start, end));
      return end;
    }
    this.#header = header;
    this.#payload = Buffer.allocUnsafeSlow(header.length);
    this.#payloadFilled = chunk.copy(this.#payload, 0, start);
    return chunk.length;
  }

  #continuePayload(header: FrameHeader, chunk: Buffer, start: number): number {
    const copied = chunk.copy(this.#payload, this.#payloadFilled, start);
    this.#payloadFilled += copied;
    if (this.#payloadFilled === header.length) {
      const payload = this.#payload;
      this.#header = undefined;
      this.#payload = emptyPayload;
      this.#sink.onFrame(header, payload);
    }
    return start + copied;
  }
}

function readHeader(bytes: Buffer, at: number): FrameHeader {
  return {
    length: bytes.readUInt32BE(at),
    streamId: bytes.readUInt32BE(at + 4),
    type: bytes.readUInt8(at + 8),
    flags: bytes.readUInt8(at + 9),
  };
}

/**
 * Allocates header and body in one buffer and fills in the header; the caller writes the body from
 * {@link frameHeaderLength} on. Raises `resource_exhausted` for a body no peer would take.
 */
export function allocateFrame(header: FrameHeader): Buffer {
  if (header.length > maxPayloadLength) {
    throw new TtrpcError(
      "resource_exhausted",
      `message of ${header.length} bytes: the limit is ${maxPayloadLength}`,
    );
  }
  const frame = Buffer.allocUnsafe(frameHeaderLength + header.length);
  frame.writeUInt32BE(header.length, 0);
  frame.writeUInt32BE(header.streamId, 4);
  frame.writeUInt8(header.type, 8);
  frame.writeUInt8(header.flags, 9);
  return frame;
}

/** A frame around a payload that exists already (data frames). Raises `resource_exhausted` as {@link allocateFrame}. */
export function encodeFrame(header: Omit<FrameHeader, "length">, payload: Uint8Array): Buffer {
  const frame = allocateFrame({
    length: payload.length,
    streamId: header.streamId,
    type: header.type,
    flags: header.flags,
  });
  frame.set(payload, frameHeaderLength);
  return frame;
}
