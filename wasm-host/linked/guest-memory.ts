import type { StringEncoding } from "../../src/image/link/plan.ts";
import { type HandleTable, Trap } from "./handle-table.ts";

type Realloc = (old: number, oldSize: number, align: number, size: number) => number;

/** CanonicalABI.md: what strings and lists may take. */
const maxByteLength = 2 ** 28 - 1;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf16 = new TextDecoder("utf-16le", { fatal: true, ignoreBOM: true });

/** Bit 31 of a length in `latin1+utf16`. */
const UTF16_TAG = 0x8000_0000;

export interface GuestMemoryParts {
  readonly memory: WebAssembly.Memory | undefined;
  readonly realloc: Realloc | undefined;
  readonly encoding: StringEncoding;
  readonly handles: HandleTable;
}

/** What a lowered function needs to read its arguments and to write its result: a linear memory, and the handles that are in it. */
export class GuestMemory {
  readonly handles: HandleTable;
  readonly #memory: WebAssembly.Memory | undefined;
  readonly #realloc: Realloc | undefined;
  readonly #encoding: StringEncoding;
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor({ memory, realloc, encoding, handles }: GuestMemoryParts) {
    this.#memory = memory;
    this.#realloc = realloc;
    this.#encoding = encoding;
    this.handles = handles;
  }

  /** All of it. A memory that has grown has another buffer, and the old one has no length any more. */
  get bytes(): Buffer {
    if (this.#bytes.length === 0) this.#refresh();
    return this.#bytes;
  }

  get view(): DataView {
    if (this.#bytes.length === 0) this.#refresh();
    return this.#view;
  }

  #refresh(): void {
    const buffer = this.#memory?.buffer ?? new ArrayBuffer(0);
    this.#bytes = Buffer.from(buffer);
    this.#view = new DataView(buffer);
  }

  /** @throws Trap unless `length` elements of a type lie at `at` */
  check(
    at: number,
    length: number,
    { size, align }: { readonly size: number; readonly align: number },
  ): void {
    const byteLength = length * size;
    if (byteLength > maxByteLength) throw new Trap(`a list of ${byteLength} bytes`);
    if (at % align !== 0) throw new Trap(`the pointer ${at} is not aligned to ${align}`);
    if (at + byteLength > this.bytes.length) throw new Trap(`the pointer ${at} leads out of memory`);
  }

  /** @throws Trap when the guest gives none, or none that is its own */
  allocate(size: number, align: number): number {
    if (this.#realloc === undefined) throw new Trap("nothing to allocate memory with");
    const at = this.#realloc(0, 0, align, size) >>> 0;
    this.check(at, 1, { size, align });
    return at;
  }

  /** @throws Trap when they are no text */
  loadString(at: number, length: number): string {
    switch (this.#encoding) {
      case "utf8":
        return this.#loadUtf8(at, length);
      case "utf16":
        return this.#loadUtf16(at, length);
      default:
        if (length >= UTF16_TAG) return this.#loadUtf16(at, length - UTF16_TAG);
        this.check(at, length, { size: 1, align: 2 });
        return this.bytes.toString("latin1", at, at + length);
    }
  }

  #loadUtf8(at: number, length: number): string {
    this.check(at, length, { size: 1, align: 1 });
    const { bytes } = this;
    const end = at + length;
    for (let index = at; index < end; index++) {
      if ((bytes[index] ?? 0) >= 0x80) return decode(utf8, bytes.subarray(at, end));
    }
    return bytes.toString("latin1", at, end);
  }

  #loadUtf16(at: number, length: number): string {
    this.check(at, length, { size: 2, align: 2 });
    return decode(utf16, this.bytes.subarray(at, at + 2 * length));
  }

  /** Returns pointer and length, as the encoding counts. */
  storeString(text: string): readonly [at: number, length: number] {
    const { length } = text;
    switch (this.#encoding) {
      case "utf8": {
        const size = Buffer.byteLength(text);
        const at = this.allocate(size, 1);
        this.bytes.write(text, at, size, "utf8");
        return [at, size];
      }
      case "utf16":
        return [this.#storeUtf16(text), length];
      default: {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: Latin-1 has them all
        if (!/^[\u0000-\u00ff]*$/.test(text)) return [this.#storeUtf16(text), length + UTF16_TAG];
        const at = this.allocate(length, 2);
        this.bytes.write(text, at, length, "latin1");
        return [at, length];
      }
    }
  }

  #storeUtf16(text: string): number {
    const at = this.allocate(2 * text.length, 2);
    this.bytes.write(text, at, 2 * text.length, "utf16le");
    return at;
  }
}

function decode(decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Trap("a string that is no text");
  }
}
