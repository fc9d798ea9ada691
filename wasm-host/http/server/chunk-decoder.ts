import { CR, LF } from "./bytes.ts";
import { FieldSection, noFields } from "./field-section.ts";
import { HeadEnd } from "./head-end.ts";
import { Refusal } from "./refusal.ts";

export interface ChunkLimits {
  /** Bytes of the trailer section. */
  readonly maxTrailerBytes: number;
  readonly maxTrailers: number;
}

/** A chunk's size line is this at most: extensions are allowed, and nobody uses them. */
const maxLine = 4096;

/**
 * Takes `Transfer-Encoding: chunked` (RFC 9112 §7.1) apart. Pure: bytes go in as they come, pieces of the body come out.
 */
export class ChunkDecoder {
  readonly #limits: ChunkLimits;
  #state: "size" | "data" | "after data" | "trailers" | "done" = "size";
  /** Bytes of the chunk that are still to come. */
  #left = 0;
  /** A size line or trailer section that has not come whole. */
  #kept: Buffer = Buffer.alloc(0);
  #trailerEnd = new HeadEnd();
  #trailers = noFields;

  constructor(limits: ChunkLimits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Once it is done. */
  get trailers(): FieldSection {
    return this.#trailers;
  }

  /**
   * Takes bytes, and gives each piece of the body to `onData`. Returns how many it took: fewer than there are when the body has ended.
   * @throws Refusal when they are no chunks
   */
  take(bytes: Buffer, onData: (piece: Buffer) => void): number {
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      switch (this.#state) {
        case "data": {
          const piece = bytes.subarray(at, at + this.#left);
          at += piece.length;
          this.#left -= piece.length;
          if (this.#left === 0) this.#state = "after data";
          onData(piece);
          break;
        }
        case "trailers":
          at += this.#takeTrailers(bytes.subarray(at));
          break;
        default:
          at += this.#takeLine(bytes.subarray(at));
      }
    }
    return at;
  }

  /** The line with a chunk's size, or the empty one behind its data. */
  #takeLine(bytes: Buffer): number {
    const before = this.#kept.length;
    const line = before === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    const end = line.indexOf(LF, before);
    if (end < 0) {
      if (line.length > maxLine) throw new Refusal(400, "a chunk's size line is too long");
      this.#kept = Buffer.from(line);
      return bytes.length;
    }
    if (end > maxLine || end === 0 || line[end - 1] !== CR) throw new Refusal(400, "malformed chunk");
    this.#kept = Buffer.alloc(0);
    this.#endLine(line.toString("latin1", 0, end - 1));
    return end + 1 - before;
  }

  #endLine(line: string): void {
    if (this.#state === "after data") {
      if (line !== "") throw new Refusal(400, "a chunk is longer than its size");
      this.#state = "size";
      return;
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: an extension has none of them
    const [, size] = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\u0000-\u0008\u000a-\u001f\u007f]*)?$/.exec(line) ?? [];
    if (size === undefined) throw new Refusal(400, "malformed chunk size");
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailers" : "data";
  }

  #takeTrailers(bytes: Buffer): number {
    const before = this.#kept.length;
    const section = before === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    const end = this.#endOfTrailers(section);
    if (end === undefined) {
      if (section.length > this.#limits.maxTrailerBytes) throw new Refusal(431, "trailers too large");
      this.#kept = Buffer.from(section);
      return bytes.length;
    }
    if (end > this.#limits.maxTrailerBytes) throw new Refusal(431, "trailers too large");
    const own = Buffer.from(section.subarray(0, end));
    this.#trailers = FieldSection.parse(own, { start: 0, end: end - 2 }, this.#limits.maxTrailers);
    this.#kept = Buffer.alloc(0);
    this.#state = "done";
    return end - before;
  }

  /** The section is nothing but the empty line, as a rule. */
  #endOfTrailers(section: Buffer): number | undefined {
    if (section[0] === CR) {
      if (section.length < 2) return undefined;
      if (section[1] !== LF) throw new Refusal(400, "malformed trailers");
      return 2;
    }
    return this.#trailerEnd.find(section, section.length);
  }
}
