import { TandemError } from "../errors.ts";

/**
 * Reads WebAssembly's binary format, forwards.
 * @throws TandemError `invalid_argument` from each of its functions, when the bytes end too early or are malformed
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #what: string;
  #offset: number;

  /** @param what is read, for errors */
  constructor(bytes: Uint8Array, offset: number, what: string) {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#what = what;
  }

  atEnd(): boolean {
    return this.#offset === this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#offset];
    if (byte === undefined) throw this.#truncated(this.#offset);
    this.#offset++;
    return byte;
  }

  /** LEB128. */
  u32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new TandemError("invalid_argument", `${this.#what} is malformed at byte ${this.#offset}`);
  }

  slice(length: number): Reader {
    const end = this.#offset + length;
    if (end > this.#bytes.length) throw this.#truncated(this.#bytes.length);
    const part = new Reader(this.#bytes.subarray(this.#offset, end), 0, this.#what);
    this.#offset = end;
    return part;
  }

  string(): string {
    const part = this.slice(this.u32());
    return Buffer.from(part.#bytes.buffer, part.#bytes.byteOffset, part.#bytes.byteLength).toString("utf8");
  }

  #truncated(offset: number): TandemError {
    return new TandemError("invalid_argument", `${this.#what} is truncated: it ends at byte ${offset}`);
  }
}
