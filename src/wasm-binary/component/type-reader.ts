import type { ByteReader } from "../byte-reader.ts";
import { type Item, Scope, sortOf, type TypeItem, typeOf } from "./scope.ts";
import type { FunctionSignature, Named, OptionallyNamed, TypeRef, ValueType } from "./value-types.ts";

/** Primitive types by their byte. */
const shortTypes: Readonly<Record<number, string>> = {
  127: "bool",
  126: "s8",
  125: "u8",
  124: "s16",
  123: "u16",
  122: "s32",
  121: "u32",
  120: "s64",
  119: "u64",
  118: "f32",
  117: "f64",
  116: "char",
  115: "string",
  100: "error-context",
};

/** A component that takes more steps to read is left alone; none that a tool has made comes near. */
const MOST_STEPS = 1_000_000;

/** Reads types, and keeps those of values in a table. Everything throws a RangeError for what it does not understand. */
export class TypeReader {
  readonly types: ValueType[] = [];
  #steps = 0;

  step(): void {
    if (++this.#steps > MOST_STEPS) throw new RangeError("too many steps");
  }

  /** An entry of a type section. */
  readType(reader: ByteReader, scope: Scope): TypeItem {
    this.step();
    const form = reader.u8();
    switch (form) {
      case 0x40:
      case 0x43: // async
        return { kind: "func", signature: this.#readFunction(reader, scope) };
      case 0x41:
        this.#readDeclarations(reader, new Scope(scope));
        return { kind: "component" };
      case 0x42:
        return { kind: "instance", exports: this.#readDeclarations(reader, new Scope(scope)) };
      case 0x3f: // its representation, and a destructor
        reader.u8();
        if (reader.u8() === 1) reader.u32();
        return { kind: "resource" };
      default:
        return { kind: "value", ref: this.#readDefined(form, reader, scope) };
    }
  }

  /** What an import or an export is said to be. */
  readDescription(reader: ByteReader, scope: Scope): Item {
    const kind = reader.u8();
    if (kind === 0x00) reader.u8(); // a core sort
    if (kind === 0x03) return { sort: "type", type: this.#readBound(reader, scope) };
    const isEqual = kind !== 0x02 || reader.u8() === 0x00;
    if (kind === 0x02 && !isEqual) {
      this.#readRef(reader, scope);
      return { sort: "other" };
    }
    const index = reader.u32();
    if (kind !== 0x01 && kind !== 0x05)
      return sortOf(kind) === "component" ? unknownComponent : { sort: "other" };
    const type = typeOf(scope.get("type", index));
    if (type.kind === "func") return { sort: "func", signature: type.signature };
    if (type.kind === "instance") return { sort: "instance", exports: type.exports };
    throw new RangeError(`type ${index} is none of ${kind === 1 ? "a function" : "an instance"}`);
  }

  /** A name of an import or export: a tag, the name, and with tag 2 a version. */
  readName(reader: ByteReader): string {
    const tag = reader.u8();
    const name = reader.name();
    if (tag === 0x02) reader.name();
    return name;
  }

  readAlias(reader: ByteReader, scope: Scope): Item {
    const sort = readSort(reader);
    const target = reader.u8();
    if (target === 0x02) {
      const outer = scope.outer(reader.u32());
      return outer.get(sort, reader.u32());
    }
    const index = reader.u32();
    const name = reader.name();
    if (target === 0x01) return { sort: "other" }; // of a core instance
    const instance = scope.get("instance", index);
    const found = instance.sort === "instance" ? instance.exports.get(name) : undefined;
    if (found === undefined || found.sort !== sort) throw new RangeError(`no ${sort} ${name}`);
    return found;
  }

  #readBound(reader: ByteReader, scope: Scope): TypeItem {
    return reader.u8() === 0x00 ? typeOf(scope.get("type", reader.u32())) : { kind: "resource" };
  }

  #readFunction(reader: ByteReader, scope: Scope): FunctionSignature {
    const params = this.#readList(reader, () => this.#readNamed(reader, scope));
    if (reader.u8() === 0x00) return { params, result: this.#readRef(reader, scope) };
    if (reader.u32() !== 0) throw new RangeError("named results");
    return { params, result: null };
  }

  /** The body of a component's or instance's type: its exports. */
  #readDeclarations(reader: ByteReader, scope: Scope): ReadonlyMap<string, Item> {
    const exports = new Map<string, Item>();
    for (let left = reader.u32(); left > 0; left--) {
      this.step();
      const kind = reader.u8();
      if (kind === 0x01) scope.add({ sort: "type", type: this.readType(reader, scope) });
      else if (kind === 0x02) scope.add(this.readAlias(reader, scope));
      else if (kind === 0x03 || kind === 0x04) {
        const name = this.readName(reader);
        const item = this.readDescription(reader, scope);
        scope.add(item);
        if (kind === 0x04) exports.set(name, item);
      } else throw new RangeError(`declaration of kind ${kind}`);
    }
    return exports;
  }

  #readDefined(form: number, reader: ByteReader, scope: Scope): TypeRef {
    const short = shortTypes[form];
    if (short !== undefined) return short;
    return this.types.push(this.#readComposed(form, reader, scope)) - 1;
  }

  #readComposed(form: number, reader: ByteReader, scope: Scope): ValueType {
    const ref = (): TypeRef => this.#readRef(reader, scope);
    const maybe = (): TypeRef | null => (reader.u8() === 0x00 ? null : ref());
    const names = (): string[] => this.#readList(reader, () => reader.name());
    switch (form) {
      case 0x72:
        return { kind: "record", fields: this.#readList(reader, () => this.#readNamed(reader, scope)) };
      case 0x71:
        return { kind: "variant", cases: this.#readList(reader, () => readCase(reader, maybe)) };
      case 0x70:
        return { kind: "list", element: ref() };
      case 0x67:
        return { kind: "list", element: ref(), length: reader.u32() };
      case 0x6f:
        return { kind: "tuple", elements: this.#readList(reader, ref) };
      case 0x6e:
        return { kind: "flags", names: names() };
      case 0x6d:
        return { kind: "enum", names: names() };
      case 0x6b:
        return { kind: "option", some: ref() };
      case 0x6a:
        return { kind: "result", ok: maybe(), err: maybe() };
      case 0x69:
      case 0x68:
        reader.u32();
        return { kind: "handle", what: "resource" };
      case 0x66:
      case 0x65:
        maybe();
        return { kind: "handle", what: form === 0x66 ? "stream" : "future" };
      default:
        throw new RangeError(`type of form ${form}`);
    }
  }

  #readNamed(reader: ByteReader, scope: Scope): Named {
    return [reader.name(), this.#readRef(reader, scope)];
  }

  /** A primitive type, or the index of another. */
  #readRef(reader: ByteReader, scope: Scope): TypeRef {
    const value = Number(reader.s64());
    if (value < 0) {
      const short = shortTypes[value + 128];
      if (short === undefined) throw new RangeError(`value type ${value}`);
      return short;
    }
    const type = typeOf(scope.get("type", value));
    if (type.kind !== "value") throw new RangeError(`type ${value} is no type of values`);
    return type.ref;
  }

  #readList<T>(reader: ByteReader, read: () => T): T[] {
    const list: T[] = [];
    for (let left = reader.u32(); left > 0; left--) {
      this.step();
      list.push(read());
    }
    return list;
  }
}

const unknownComponent: Item = { sort: "component", component: undefined };

function readCase(reader: ByteReader, maybe: () => TypeRef | null): OptionallyNamed {
  const name = reader.name();
  const type = maybe();
  reader.u8(); // refines: none since long
  return [name, type];
}

/** A sort; of a core sort, which has a byte of its own, only that it is one. */
export function readSort(reader: ByteReader): Item["sort"] {
  const byte = reader.u8();
  if (byte === 0x00) reader.u8();
  return sortOf(byte);
}
