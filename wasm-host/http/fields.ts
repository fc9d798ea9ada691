import { validateHeaderName, validateHeaderValue } from "node:http";
import { done, err, ok, type Result } from "../wasi/p2/result.ts";

type HeaderError = { readonly tag: "invalid-syntax" | "forbidden" | "immutable" };

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

/** The resource `fields` of wasi:http/types 0.2 and 0.3: headers or trailers. Values are bytes; names compare without case. */
export class Fields {
  #entries: [string, Uint8Array][] = [];
  #immutable = false;

  static fromList(entries: readonly (readonly [string, Uint8Array])[]): Result<Fields, HeaderError> {
    const fields = new Fields();
    for (const [name, value] of entries) {
      const problem = check(name, value);
      if (problem !== undefined) return err(problem);
      fields.#entries.push([fields.#spelling(name), value]);
    }
    return ok(fields);
  }

  /** From Node's flat list of names and values, leaving out what belongs to the connection. */
  static fromRaw(raw: readonly string[]): Fields {
    const fields = new Fields();
    for (let index = 0; index + 1 < raw.length; index += 2) {
      const [name = "", value = ""] = [raw[index], raw[index + 1]];
      if (!forbidden.has(name.toLowerCase())) fields.#entries.push([name, Buffer.from(value, "latin1")]);
    }
    fields.#immutable = true;
    return fields;
  }

  get(name: string): Uint8Array[] {
    const wanted = name.toLowerCase();
    return this.#entries.flatMap(([other, value]) => (other.toLowerCase() === wanted ? [value] : []));
  }

  has(name: string): boolean {
    const wanted = name.toLowerCase();
    return this.#entries.some(([other]) => other.toLowerCase() === wanted);
  }

  set(name: string, values: readonly Uint8Array[]): Result<undefined, HeaderError> {
    for (const value of values) {
      const problem = this.#refuse(name, value);
      if (problem !== undefined) return err(problem);
    }
    const removed = this.delete(name);
    if (removed.tag === "err") return removed;
    this.#entries.push(...values.map((value): [string, Uint8Array] => [name, value]));
    return done;
  }

  delete(name: string): Result<undefined, HeaderError> {
    const problem = this.#refuse(name, new Uint8Array(0));
    if (problem !== undefined) return err(problem);
    const unwanted = name.toLowerCase();
    this.#entries = this.#entries.filter(([other]) => other.toLowerCase() !== unwanted);
    return done;
  }

  /** 0.3: also what was there. */
  getAndDelete(name: string): Result<Uint8Array[], HeaderError> {
    const values = this.get(name);
    const deleted = this.delete(name);
    return deleted.tag === "err" ? deleted : ok(values);
  }

  append(name: string, value: Uint8Array): Result<undefined, HeaderError> {
    const problem = this.#refuse(name, value);
    if (problem !== undefined) return err(problem);
    this.#entries.push([this.#spelling(name), value]);
    return done;
  }

  entries(): [string, Uint8Array][] {
    return this.#entries.map(([name, value]) => [name, value]);
  }

  /** What 0.3 calls `entries`. */
  copyAll(): [string, Uint8Array][] {
    return this.entries();
  }

  clone(): Fields {
    const fields = new Fields();
    fields.#entries = this.entries();
    return fields;
  }

  /** What a request or response has been made of does not change any more. */
  freeze(): this {
    this.#immutable = true;
    return this;
  }

  /** As Node's writeHead and addTrailers take them. */
  toRaw(): [string, string][] {
    return this.#entries.map(([name, value]) => [name, Buffer.from(value).toString("latin1")]);
  }

  /** A name that is there keeps the case that it came with. */
  #spelling(name: string): string {
    const wanted = name.toLowerCase();
    return this.#entries.find(([other]) => other.toLowerCase() === wanted)?.[0] ?? name;
  }

  #refuse(name: string, value: Uint8Array): HeaderError | undefined {
    return this.#immutable ? { tag: "immutable" } : check(name, value);
  }
}

function check(name: string, value: Uint8Array): HeaderError | undefined {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, Buffer.from(value).toString("latin1"));
  } catch {
    return { tag: "invalid-syntax" };
  }
  return forbidden.has(name.toLowerCase()) ? { tag: "forbidden" } : undefined;
}
