import { TandemError } from "../../../errors.ts";
import type { DbusValue, Variant } from "./marshal.ts";

/** Keywords of GVariant's text format for the types that can be sent. */
const keywords: Readonly<Record<string, string>> = {
  boolean: "b",
  byte: "y",
  int16: "n",
  uint16: "q",
  int32: "i",
  uint32: "u",
  int64: "x",
  uint64: "t",
  string: "s",
  objectpath: "o",
  signature: "g",
};

/** Least and greatest value of the integer types. */
const ranges: Readonly<Record<string, readonly [bigint, bigint]>> = {
  y: [0n, 0xffn],
  n: [-0x8000n, 0x7fffn],
  q: [0n, 0xffffn],
  i: [-0x8000_0000n, 0x7fff_ffffn],
  u: [0n, 0xffff_ffffn],
  x: [-(2n ** 63n), 2n ** 63n - 1n],
  t: [0n, 2n ** 64n - 1n],
};

const token = /\s*(?:('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|([+-]?\d\w*)|([a-z]\w*)|([[\](),]))/y;

/**
 * Reads a value in GVariant's text format (docs.gtk.org/glib/gvariant-text-format.html), as `org.systemd.property.…` annotations have
 * it: `true`, `'text'`, `uint64 5`, `['a', 'b']`, `[('a', uint32 1)]`. A number without a keyword is an int32.
 *
 * @throws TandemError invalid_argument for what is none, or has another type than these
 */
export function parseGvariant(text: string): Variant {
  const reader = new Reader(text);
  const value = reader.value(undefined);
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    const tokens: string[] = [];
    for (token.lastIndex = 0; /\S/.test(text.slice(token.lastIndex)); ) {
      const found = token.exec(text)?.[0];
      if (found === undefined) throw this.#error();
      tokens.push(found.trim());
    }
    this.#tokens = tokens;
  }

  /** @param type what a keyword before it, or the element before it in an array, says */
  value(type: string | undefined): Variant {
    const next = this.#next();
    if (next === "[") return this.#array();
    if (next === "(") return this.#tuple();
    const keyword = keywords[next];
    if (keyword !== undefined) return this.value(keyword);
    if (next === "true" || next === "false") return this.#checked("b", type, next === "true");
    if (/^['"]/.test(next)) return this.#string(next, type);
    if (/^[+-]?\d/.test(next)) return this.#integer(next, type ?? "i");
    throw this.#error();
  }

  end(): void {
    if (this.#at !== this.#tokens.length) throw this.#error();
  }

  #array(): Variant {
    const values: Variant[] = [];
    while (this.#tokens[this.#at] !== "]") {
      if (values.length > 0) this.#expect(",");
      values.push(this.value(values[0]?.signature));
    }
    this.#at++;
    // What an empty array is of, nothing says; a list of texts is what properties have most.
    const of = values[0]?.signature ?? "s";
    if (values.some(({ signature }) => signature !== of)) throw this.#error();
    return { signature: `a${of}`, value: values.map(({ value }) => value) };
  }

  #tuple(): Variant {
    const values: Variant[] = [];
    while (this.#tokens[this.#at] !== ")") {
      if (values.length > 0) this.#expect(",");
      values.push(this.value(undefined));
    }
    this.#at++;
    const signature = values.map((field) => field.signature).join("");
    if (signature === "") throw this.#error();
    return { signature: `(${signature})`, value: values.map(({ value }) => value) };
  }

  #string(quoted: string, type = "s"): Variant {
    if (!/^[sog]$/.test(type)) throw this.#error();
    return { signature: type, value: quoted.slice(1, -1).replace(/\\(.)/g, unescaped) };
  }

  #integer(digits: string, type: string): Variant {
    const range = ranges[type];
    if (range === undefined || !/^[+-]?(\d+|0x[\da-f]+)$/i.test(digits)) throw this.#error();
    const magnitude = BigInt(digits.replace(/^[+-]/, ""));
    const value = digits.startsWith("-") ? -magnitude : magnitude;
    if (value < range[0] || value > range[1]) throw this.#error();
    return { signature: type, value: /[xt]/.test(type) ? value : Number(value) };
  }

  #checked(type: string, wanted: string | undefined, value: DbusValue): Variant {
    if (wanted !== undefined && wanted !== type) throw this.#error();
    return { signature: type, value };
  }

  #next(): string {
    const next = this.#tokens[this.#at++];
    if (next === undefined) throw this.#error();
    return next;
  }

  #expect(wanted: string): void {
    if (this.#next() !== wanted) throw this.#error();
  }

  #error(): TandemError {
    return new TandemError(
      "invalid_argument",
      `${JSON.stringify(this.#text)} is no value as GVariant writes it`,
    );
  }
}

function unescaped(_: string, letter: string): string {
  const control: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return control[letter] ?? letter;
}
