import { TtrpcError } from "./error.ts";

/** Protobuf wire types that occur in proto3. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** The few primitives of protobuf's wire format the envelope needs. Raises `invalid_argument` on malformed bytes. */
export class WireReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /**
   * A varint as a number. A negative int64 or int32 has ten bytes and is returned as -1: no reader here needs its value,
   * and doubles would round small negative values to 2^64.
   */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10; count++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed("varint cut short");
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return count === 9 && byte !== 0 ? -1 : value;
      scale *= 128;
    }
    throw malformed("varint longer than 10 bytes");
  }

  bytes(): Buffer {
    const length = this.varint();
    const start = this.#at;
    if (length < 0 || length > this.#bytes.length - start) throw malformed("field cut short");
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  string(): string {
    return this.bytes().toString("utf8");
  }

  /** Skips a field this version does not know. */
  skip(tag: number): void {
    switch (tag % 8) {
      case wireTypes.varint:
        this.varint();
        return;
      case wireTypes.fixed64:
        this.#advance(8);
        return;
      case wireTypes.bytes:
        this.bytes();
        return;
      case wireTypes.fixed32:
        this.#advance(4);
        return;
      default:
        throw malformed(`wire type ${tag % 8}`);
    }
  }

  #advance(length: number): void {
    if (length > this.#bytes.length - this.#at) throw malformed("field cut short");
    this.#at += length;
  }
}

function malformed(what: string): TtrpcError {
  return new TtrpcError("invalid_argument", `malformed envelope: ${what}`);
}

/** Bytes a non-negative integer below 2^53 takes as a varint. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** Writes a varint and returns the offset after it. */
export function writeVarint(target: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}
