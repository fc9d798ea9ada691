import { COLON, CR, isBlank, isTokenByte, isValueByte, LF } from "./bytes.ts";
import { Refusal } from "./refusal.ts";

/**
 * A section of field lines, headers or trailers, as it came: where names and values are in its bytes. Text is made of it only for
 * whoever asks.
 */
export class FieldSection {
  readonly #bytes: Buffer;
  /** Start and end of each name and of its value. */
  readonly #places: readonly number[];

  private constructor(bytes: Buffer, places: readonly number[]) {
    this.#bytes = bytes;
    this.#places = places;
  }

  /**
   * Lines from `start` to `end`, each with its CRLF.
   * @throws Refusal 400 for what is not exactly a field line: no folding, no space before the colon, no lone CR or LF; 431 for more than
   *   `maxCount`
   */
  static parse(
    bytes: Buffer,
    range: { readonly start: number; readonly end: number },
    maxCount: number,
  ): FieldSection {
    const places: number[] = [];
    let at = range.start;
    while (at < range.end) {
      if (places.length >= 4 * maxCount) throw new Refusal(431, "too many header fields");
      at = parseLine(bytes, at, places);
    }
    return new FieldSection(bytes, places);
  }

  get count(): number {
    return this.#places.length / 4;
  }

  /** The value of the field with this lower-case name at `index`; undefined when it has another name. */
  valueAt(index: number, name: string): string | undefined {
    const [start = 0, end = 0] = [this.#places[4 * index], this.#places[4 * index + 1]];
    if (end - start !== name.length) return undefined;
    for (let offset = 0; offset < name.length; offset++) {
      if (lower(this.#bytes[start + offset] ?? 0) !== name.charCodeAt(offset)) return undefined;
    }
    return this.#text(4 * index + 2);
  }

  lengthOfName(index: number): number {
    return (this.#places[4 * index + 1] ?? 0) - (this.#places[4 * index] ?? 0);
  }

  /** Names and values in turn, as Latin-1. */
  toRaw(): string[] {
    const raw: string[] = [];
    for (let place = 0; place < this.#places.length; place += 2) raw.push(this.#text(place));
    return raw;
  }

  #text(place: number): string {
    return this.#bytes.toString("latin1", this.#places[place], this.#places[place + 1]);
  }
}

export const noFields = FieldSection.parse(Buffer.alloc(0), { start: 0, end: 0 }, 0);

/** Pushes where name and value are; returns where the next line begins. */
function parseLine(bytes: Buffer, start: number, places: number[]): number {
  let at = start;
  while (isTokenByte(bytes[at] ?? 0)) at++;
  if (at === start || bytes[at] !== COLON) throw new Refusal(400, "malformed header field");
  const nameEnd = at++;
  while (isBlank(bytes[at])) at++;
  const valueStart = at;
  while (isValueByte(bytes[at] ?? 0)) at++;
  if (bytes[at] !== CR || bytes[at + 1] !== LF) throw new Refusal(400, "malformed header field");
  let valueEnd = at;
  while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--;
  places.push(start, nameEnd, valueStart, valueEnd);
  return at + 2;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}
