import { TandemError } from "../errors.ts";

/** Reads WebAssembly's binary format. Every method throws TandemError `invalid_argument` where the bytes end or make no sense. */
export class BinaryReader {
  readonly bytes: Uint8Array;
  #offset: number;
  readonly #what: string;
  readonly #end: number;

  /** @param what is read, for errors */
  constructor(bytes: Uint8Array, offset: number, what: string, end = bytes.length) {
    this.bytes = bytes;
    this.#offset = offset;
    this.#what = what;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }

  get left(): number {
    return this.#end - this.#offset;
  }

  atEnd(): boolean {
    return this.#offset >= this.#end;
  }

  peek(): number {
    return this.#at(this.#offset);
  }

  byte(): number {
    const byte = this.#at(this.#offset);
    this.#offset++;
    return byte;
  }

  /** unsigned LEB128, 32 bits */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw this.#malformed();
  }

  /** signed LEB128 of at most 33 bits */
  s33(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return (byte & 0x40) === 0 ? value : value - 2 ** (shift + 7);
    }
    throw this.#malformed();
  }

  /** Any LEB128: passes over its bytes. */
  skipLeb(): void {
    for (let left = 10; left > 0; left--) if (this.byte() < 0x80) return;
    throw this.#malformed();
  }

  skip(length: number): void {
    if (length > this.#end - this.#offset) throw this.#truncated(this.#end);
    this.#offset += length;
  }

  /** The next `length` bytes, as a reader of their own whose offsets are those of the whole. */
  slice(length: number): BinaryReader {
    const start = this.#offset;
    this.skip(length);
    return new BinaryReader(this.bytes, start, this.#what, this.#offset);
  }

  /** `length` bytes from an offset on, wherever this reader is. */
  at(start: number, length: number): BinaryReader {
    return new BinaryReader(this.bytes, start, this.#what, start + length);
  }

  /** The next `length` bytes, not copied. */
  view(length: number): Uint8Array {
    const start = this.#offset;
    this.skip(length);
    return this.bytes.subarray(start, this.#offset);
  }

  /** All that is left, not copied. */
  rest(): Uint8Array {
    return this.view(this.left);
  }

  string(): string {
    const { buffer, byteOffset, byteLength } = this.view(this.u32());
    return Buffer.from(buffer, byteOffset, byteLength).toString("utf8");
  }

  /** `vec(...)`: a count, then as many. */
  vector<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.u32(); left > 0; left--) items.push(read());
    return items;
  }

  #at(offset: number): number {
    const byte = offset < this.#end ? this.bytes[offset] : undefined;
    if (byte === undefined) throw this.#truncated(offset);
    return byte;
  }

  #truncated(offset: number): TandemError {
    return new TandemError("invalid_argument", `${this.#what} is truncated: it ends at byte ${offset}`);
  }

  #malformed(): TandemError {
    return new TandemError("invalid_argument", `${this.#what} is malformed at byte ${this.#offset}`);
  }
}
