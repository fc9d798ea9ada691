import { ByteReader } from "../../src/wasm-binary/byte-reader.ts";

/** DWARF's own encodings on top of WebAssembly's. Whatever leads out of the bytes is a RangeError. */
export class DwarfReader extends ByteReader {
  /** Whether offsets have 64 bits. */
  wide = false;

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  u32le(): number {
    return (this.u16() | (this.u16() << 16)) >>> 0;
  }

  /** Larger ones than a number holds exactly lead out of any section. */
  u64le(): number {
    return this.u32le() + this.u32le() * 2 ** 32;
  }

  /** Of the section's own width, as the length of its unit said. */
  offset(): number {
    return this.wide ? this.u64le() : this.u32le();
  }

  /** An address of so many bytes. */
  address(size: number): number {
    if (size === 4) return this.u32le();
    if (size === 8) return this.u64le();
    throw new RangeError(`address of ${size} bytes`);
  }

  uleb(): number {
    return Number(this.u64());
  }

  sleb(): number {
    return Number(this.s64());
  }

  /** Bytes before a zero, which is skipped. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end < 0 || end >= this.end) throw new RangeError(`text at ${this.at} has no end`);
    const text = Buffer.from(this.bytes.subarray(this.at, end)).toString("utf8");
    this.at = end + 1;
    return text;
  }

  override part(length: number): DwarfReader {
    const start = this.at;
    this.skip(length);
    const part = new DwarfReader(this.bytes, start, start + length);
    part.wide = this.wide;
    return part;
  }
}
