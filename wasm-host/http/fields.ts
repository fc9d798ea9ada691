import { done, err, ok, type Result } from "../wasi/p2/result.ts";
import type { RawHeaders } from "./exchange.ts";
import { isToken } from "./syntax.ts";

/** `header-error`; the last is 0.3's. */
export interface HeaderError {
  readonly tag: "invalid-syntax" | "forbidden" | "immutable" | "size-exceeded";
}

/** Thrown where fields would become too many: a trap in 0.2, which has no word for it. */
export class FieldsTooLarge extends Error {
  override readonly name = "FieldsTooLarge";
}

/** Headers of the connection, not of the message: RFC 9110 §7.6.1, and `host`, which is the request's authority. */
const forbidden: ReadonlySet<string> = new Set([
  "connection",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Names and values together; a guest must not fill its host's memory with them. */
const maxBytes = 128 * 1024;
/** What an entry costs besides its text. */
const entryBytes = 64;

export type FieldList = readonly (readonly [name: string, value: Uint8Array])[];

/** The resource `fields` of wasi:http/types 0.2: headers or trailers. Values are bytes; names compare without case. */
export class Fields {
  /** Values as Latin-1. */
  #entries: [name: string, value: string][] = [];
  #immutable = false;

  static fromList(entries: FieldList): Result<Fields, HeaderError> {
    return new Fields().filledFrom(entries);
  }

  /** From names and values in turn, leaving out what belongs to the connection. */
  static fromRaw(raw: readonly string[]): Fields {
    return new Fields().takenFrom(raw);
  }

  protected filledFrom(entries: FieldList): Result<this, HeaderError> {
    for (const [name, value] of entries) {
      const text = latin1(value);
      const problem = check(name, text);
      if (problem !== undefined) return err(problem);
      this.#add(name, text);
    }
    return ok(this);
  }

  protected takenFrom(raw: readonly string[]): this {
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const [name = "", value = ""] = [raw[index], raw[index + 1]];
      if (!forbidden.has(name.toLowerCase())) this.#entries.push([name, value]);
    }
    return this.freeze();
  }

  get(name: string): Uint8Array[] {
    const wanted = name.toLowerCase();
    return this.#entries.flatMap(([other, value]) => (other.toLowerCase() === wanted ? [bytes(value)] : []));
  }

  has(name: string): boolean {
    const wanted = name.toLowerCase();
    return this.#entries.some(([other]) => other.toLowerCase() === wanted);
  }

  set(name: string, values: readonly Uint8Array[]): Result<undefined, HeaderError> {
    const texts = values.map(latin1);
    const problem = this.#refuseAny(name, texts.length === 0 ? anyValue : texts);
    if (problem !== undefined) return err(problem);
    const before = this.#entries;
    this.#remove(name);
    try {
      for (const text of texts) this.#add(name, text);
    } catch (error) {
      this.#entries = before;
      throw error;
    }
    return done;
  }

  delete(name: string): Result<undefined, HeaderError> {
    const problem = this.#refuseAny(name, anyValue);
    if (problem !== undefined) return err(problem);
    this.#remove(name);
    return done;
  }

  /** 0.3: also what was there. */
  getAndDelete(name: string): Result<Uint8Array[], HeaderError> {
    const values = this.get(name);
    const deleted = this.delete(name);
    return deleted.tag === "err" ? deleted : ok(values);
  }

  append(name: string, value: Uint8Array): Result<undefined, HeaderError> {
    const text = latin1(value);
    const problem = this.#refuse(name, text);
    if (problem !== undefined) return err(problem);
    this.#add(name, text);
    return done;
  }

  entries(): [string, Uint8Array][] {
    return this.#entries.map(([name, value]) => [name, bytes(value)]);
  }

  /** What 0.3 calls `entries`. */
  copyAll(): [string, Uint8Array][] {
    return this.entries();
  }

  clone(): Fields {
    const fields = this.#another();
    fields.#entries = [...this.#entries];
    return fields;
  }

  /** Another handle of the same fields, for a guest that may look at them. */
  view(): Fields {
    const fields = this.#another();
    fields.#entries = this.#entries;
    fields.#immutable = true;
    return fields;
  }

  /** What a request or response has been made of does not change any more. */
  freeze(): this {
    this.#immutable = true;
    return this;
  }

  /** As they go over the network: values are Latin-1. */
  toRaw(): RawHeaders {
    return this.#entries;
  }

  /** Of the same version of WASI. */
  #another(): Fields {
    return new (this.constructor as typeof Fields)();
  }

  /** @throws FieldsTooLarge */
  #add(name: string, value: string): void {
    let size = name.length + value.length + entryBytes;
    for (const [other, text] of this.#entries) size += other.length + text.length + entryBytes;
    if (size > maxBytes) throw new FieldsTooLarge(`fields of more than ${maxBytes} bytes`);
    this.#entries.push([this.#spelling(name), value]);
  }

  #remove(name: string): void {
    const unwanted = name.toLowerCase();
    this.#entries = this.#entries.filter(([other]) => other.toLowerCase() !== unwanted);
  }

  /** A name that is there keeps the case that it came with. */
  #spelling(name: string): string {
    if (this.#entries.length === 0) return name;
    const wanted = name.toLowerCase();
    return this.#entries.find(([other]) => other.toLowerCase() === wanted)?.[0] ?? name;
  }

  #refuse(name: string, value: string): HeaderError | undefined {
    return this.#immutable ? { tag: "immutable" } : check(name, value);
  }

  #refuseAny(name: string, values: readonly string[]): HeaderError | undefined {
    for (const value of values) {
      const problem = this.#refuse(name, value);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
}

/** A value that every field can have: for when only the name is to be judged. */
const anyValue = ["0"];

function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("latin1");
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value, "latin1");
}

const fieldValue = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

function check(name: string, value: string): HeaderError | undefined {
  if (!isToken(name) || !fieldValue.test(value)) return { tag: "invalid-syntax" };
  const lower = name.toLowerCase();
  // RFC 9110 §8.6: nothing but digits; what reads it as a number on the other side may be more lenient.
  if (lower === "content-length" && !/^\d+$/.test(value)) return { tag: "invalid-syntax" };
  return forbidden.has(lower) ? { tag: "forbidden" } : undefined;
}
