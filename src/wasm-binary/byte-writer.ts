/** Writes the WebAssembly binary format from front to back. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  /** Bytes as they are. */
  raw(bytes: Uint8Array | readonly number[]): this {
    this.#parts.push(bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes));
    return this;
  }

  /** Unsigned LEB128. */
  u32(value: number): this {
    const bytes: number[] = [];
    let left = value;
    do {
      const low = left % 128;
      left = Math.floor(left / 128);
      bytes.push(left > 0 ? low | 0x80 : low);
    } while (left > 0);
    return this.raw(bytes);
  }

  /** A length, and as many bytes. */
  sized(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  name(text: string): this {
    return this.sized(Buffer.from(text));
  }

  section(id: number, contents: Uint8Array): this {
    return this.raw([id]).sized(contents);
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}
