/**
 * Reads the WebAssembly binary format from front to back. What ends too early, or is no number of the width that is asked for, is a
 * RangeError; nothing beyond the bytes is ever read.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = Math.min(end, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.at >= this.end;
  }

  u8(): number {
    const byte = this.at < this.end ? this.bytes[this.at] : undefined;
    if (byte === undefined) throw new RangeError(`ends at ${this.at}`);
    this.at++;
    return byte;
  }

  /** LEB128 */
  u32(): number {
    const value = this.u64();
    if (value > 0xffff_ffffn) throw new RangeError(`no 32-bit number before ${this.at}`);
    return Number(value);
  }

  /** LEB128 */
  u64(): bigint {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError(`no number before ${this.at}`);
  }

  /** Signed LEB128 of at most 64 bits: what the format calls s33 and s64. */
  s64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, byte & 0x40 ? value - (1n << (shift + 7n)) : value);
    }
    throw new RangeError(`no number before ${this.at}`);
  }

  skip(length: number): void {
    if (length < 0 || length > this.end - this.at) throw new RangeError(`ends before ${this.at + length}`);
    this.at += length;
  }

  /** A length, and as many bytes of UTF-8. */
  name(): string {
    const length = this.u32();
    const start = this.at;
    this.skip(length);
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + start, length).toString("utf8");
  }

  /** The next `length` bytes, as a reader of their own. */
  part(length: number): ByteReader {
    const start = this.at;
    this.skip(length);
    return new ByteReader(this.bytes, start, start + length);
  }
}
