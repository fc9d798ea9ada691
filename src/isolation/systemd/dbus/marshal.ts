import { TandemError } from "../../../errors.ts";
import { alignmentOf, type DbusType, parseSignature } from "./signature.ts";

/** A value with its own signature, D-Bus type "v". */
export interface Variant {
  readonly signature: string;
  readonly value: DbusValue;
}

/** y n q i u: number; x t: bigint; b: boolean; s o g: string; v: Variant; arrays and structs: arrays. */
export type DbusValue = number | bigint | boolean | string | Variant | readonly DbusValue[];

/** Marshals values in little endian, dbus-specification "Marshaling". @throws TandemError internal for a value of another type */
export function marshal(signature: string, values: readonly DbusValue[]): Buffer {
  const writer = new Writer();
  for (const [index, type] of parseSignature(signature).entries()) writer.value(type, values[index]);
  return writer.bytes();
}

/** The reverse of `marshal`. @throws TandemError unavailable for bytes that end too early */
export function unmarshal(signature: string, bytes: Buffer): readonly DbusValue[] {
  const reader = new Reader(bytes);
  return parseSignature(signature).map((type) => reader.value(type));
}

class Writer {
  #buffer = Buffer.alloc(1024);
  #length = 0;

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  value(type: DbusType, value: DbusValue | undefined): void {
    const at = this.#take(alignmentOf(type), 0);
    switch (type.code) {
      case "a":
        this.#array(type.of, asArray(value));
        return;
      case "(": {
        const fields = asArray(value);
        for (const [index, field] of type.fields.entries()) this.value(field, fields[index]);
        return;
      }
      case "v":
        this.#variant(value);
        return;
      case "g":
        this.#text(asString(value), 1);
        return;
      case "s":
      case "o":
        this.#text(asString(value), 4);
        return;
      case "x":
        this.#take(1, 8);
        this.#buffer.writeBigInt64LE(asBigint(value), at);
        return;
      case "t":
        this.#take(1, 8);
        this.#buffer.writeBigUInt64LE(asBigint(value), at);
        return;
      default:
        this.#integer(type.code, value, at);
    }
  }

  #integer(code: "y" | "b" | "n" | "q" | "i" | "u", value: DbusValue | undefined, at: number): void {
    const number = code === "b" ? Number(value === true) : asNumber(value);
    this.#take(1, widthOf[code]);
    if (code === "n" || code === "i") this.#buffer.writeIntLE(number, at, widthOf[code]);
    else this.#buffer.writeUIntLE(number, at, widthOf[code]);
  }

  /** The length counts the elements without the padding before the first of them. */
  #array(of: DbusType, values: readonly DbusValue[]): void {
    const lengthAt = this.#take(4, 4);
    const start = this.#take(alignmentOf(of), 0);
    for (const value of values) this.value(of, value);
    this.#buffer.writeUInt32LE(this.#length - start, lengthAt);
  }

  #variant(value: DbusValue | undefined): void {
    if (typeof value !== "object" || !("signature" in value)) throw mismatch("a variant", value);
    const { signature } = value;
    const [type] = parseSignature(signature);
    if (type === undefined) throw mismatch("a variant", value);
    this.#text(signature, 1);
    this.value(type, value.value);
  }

  #text(text: string, lengthBytes: 1 | 4): void {
    const bytes = Buffer.from(text);
    const at = this.#take(lengthBytes, lengthBytes + bytes.length + 1);
    this.#buffer.writeUIntLE(bytes.length, at, lengthBytes);
    bytes.copy(this.#buffer, at + lengthBytes);
  }

  /** Pads with zeros to a multiple of `alignment` and reserves `size` bytes after it; returns where they start. */
  #take(alignment: number, size: number): number {
    const start = Math.ceil(this.#length / alignment) * alignment;
    this.#length = start + size;
    if (this.#length > this.#buffer.length)
      this.#buffer = Buffer.concat([this.#buffer, Buffer.alloc(this.#length + this.#buffer.length)]);
    return start;
  }
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  value(type: DbusType): DbusValue {
    this.#skip(alignmentOf(type), 0);
    switch (type.code) {
      case "a":
        return this.#array(type.of);
      case "(":
        return type.fields.map((field) => this.value(field));
      case "v":
        return this.#variant();
      case "g":
        return this.#text(1);
      case "s":
      case "o":
        return this.#text(4);
      case "x":
        return this.#bytes.readBigInt64LE(this.#skip(1, 8));
      case "t":
        return this.#bytes.readBigUInt64LE(this.#skip(1, 8));
      case "b":
        return this.#bytes.readUInt32LE(this.#skip(1, 4)) !== 0;
      case "n":
      case "i":
        return this.#bytes.readIntLE(this.#skip(1, widthOf[type.code]), widthOf[type.code]);
      default:
        return this.#bytes.readUIntLE(this.#skip(1, widthOf[type.code]), widthOf[type.code]);
    }
  }

  #array(of: DbusType): readonly DbusValue[] {
    const length = this.#bytes.readUInt32LE(this.#skip(4, 4));
    const end = this.#skip(alignmentOf(of), 0) + length;
    if (end > this.#bytes.length) throw tooShort();
    const values: DbusValue[] = [];
    while (this.#at < end) values.push(this.value(of));
    return values;
  }

  #variant(): Variant {
    const signature = this.#text(1);
    const [type] = parseSignature(signature);
    if (type === undefined) throw tooShort();
    return { signature, value: this.value(type) };
  }

  #text(lengthBytes: 1 | 4): string {
    const length = this.#bytes.readUIntLE(this.#skip(lengthBytes, lengthBytes), lengthBytes);
    const start = this.#skip(1, length + 1);
    return this.#bytes.toString("utf8", start, start + length);
  }

  #skip(alignment: number, size: number): number {
    const start = Math.ceil(this.#at / alignment) * alignment;
    this.#at = start + size;
    if (this.#at > this.#bytes.length) throw tooShort();
    return start;
  }
}

const widthOf = { y: 1, b: 4, n: 2, q: 2, i: 4, u: 4 } as const;

function asNumber(value: DbusValue | undefined): number {
  if (typeof value === "number") return value;
  throw mismatch("a number", value);
}

function asBigint(value: DbusValue | undefined): bigint {
  if (typeof value === "bigint") return value;
  throw mismatch("a bigint", value);
}

function asString(value: DbusValue | undefined): string {
  // A NUL would end the string early on the other side.
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw mismatch("a string", value);
}

function asArray(value: DbusValue | undefined): readonly DbusValue[] {
  if (Array.isArray(value)) return value as readonly DbusValue[];
  throw mismatch("an array", value);
}

function mismatch(wanted: string, value: DbusValue | undefined): TandemError {
  return new TandemError("internal", `D-Bus: ${String(value)} is not ${wanted}`);
}

function tooShort(): TandemError {
  return new TandemError("unavailable", "D-Bus: a message ends too early");
}
