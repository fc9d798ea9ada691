import { TandemError } from "../../src/errors.ts";
import type { ComponentFunctions, TypeRef, ValueType } from "../../src/wasm-binary/component/value-types.ts";
import { describeType } from "./describe-type.ts";
import { readFloat } from "./float-text.ts";
import { readChar, readString } from "./wave-strings.ts";
import type { WaveText } from "./wave-text.ts";
import { camelCase } from "./wit-names.ts";

const keywords = ["true", "false", "some", "none", "ok", "err", "inf", "nan"];

/** Ranges of integers by their type's name: [signed, bits]. */
const integers: Readonly<Record<string, readonly [signed: boolean, bits: number]>> = {
  s8: [true, 8],
  u8: [false, 8],
  s16: [true, 16],
  u16: [false, 16],
  s32: [true, 32],
  u32: [false, 32],
  s64: [true, 64],
  u64: [false, 64],
};

/** jco's arrays of numbers, where it does not take any list. */
const typedArrays: Readonly<Record<string, { from(values: never[]): unknown }>> = {
  u8: Uint8Array,
  s8: Int8Array,
  u16: Uint16Array,
  s16: Int16Array,
  u32: Uint32Array,
  s32: Int32Array,
  u64: BigUint64Array,
  s64: BigInt64Array,
  f32: Float32Array,
  f64: Float64Array,
};

/** Reads values of the types of one component, as jco's glue takes them. */
export class WaveReader {
  readonly #types: ComponentFunctions["types"];

  constructor(types: ComponentFunctions["types"]) {
    this.#types = types;
  }

  /** @throws TandemError invalid_argument that says what was expected, unimplemented for what has no text form */
  read(text: WaveText, ref: TypeRef): unknown {
    if (typeof ref === "string") return readPrimitive(text, ref);
    const type = this.#types[ref];
    switch (type?.kind) {
      case "record":
        return this.#readRecord(text, type, ref);
      case "variant":
        return this.#readVariant(text, type, ref);
      case "list":
        return this.#readList(text, type, ref);
      case "tuple":
        return this.#readTuple(text, type, ref);
      case "flags":
        return this.#readFlags(text, type, ref);
      case "enum":
        return this.#readEnum(text, type, ref);
      case "option":
        return this.#readOption(text, type);
      case "result":
        return this.#readResult(text, type, ref);
      default:
        throw new TandemError(
          "unimplemented",
          `a value of type ${describeType(this.#types, ref)} has no text form`,
        );
    }
  }

  /** Whether nothing need be written for it. */
  isOption(ref: TypeRef): boolean {
    return this.#kind(ref) === "option";
  }

  #kind(ref: TypeRef): string | undefined {
    return typeof ref === "number" ? this.#types[ref]?.kind : undefined;
  }

  #unexpected(text: WaveText, ref: TypeRef): TandemError {
    return text.unexpected(describeType(this.#types, ref));
  }

  #readRecord(text: WaveText, { fields }: Of<"record">, ref: TypeRef): unknown {
    if (!text.takes("{")) throw this.#unexpected(text, ref);
    const record: Record<string, unknown> = {};
    const isEmpty = text.attempt(() => (text.takes(":") && text.takes("}")) || undefined) ?? false;
    if (!isEmpty) text.list("}", () => this.#readField(text, fields, record));
    for (const [name, type] of fields) {
      if (Object.hasOwn(record, camelCase(name))) continue;
      if (!this.isOption(type)) throw new TandemError("invalid_argument", `expected a field ${name}`);
      record[camelCase(name)] = this.#none(type);
    }
    return record;
  }

  #readField(text: WaveText, fields: Of<"record">["fields"], record: Record<string, unknown>): void {
    const field = text.attempt(() => {
      const label = text.label()?.replace("%", "");
      return fields.find(([name]) => name === label);
    });
    if (field === undefined) throw text.unexpected(`a field (${fields.map(([name]) => name).join(", ")})`);
    text.expect(":");
    record[camelCase(field[0])] = this.read(text, field[1]);
  }

  #readVariant(text: WaveText, { cases }: Of<"variant">, ref: TypeRef): unknown {
    const found = this.#readCase(text, cases, ([name]) => name, ref);
    const [tag, type] = found;
    return type === null ? { tag, val: undefined } : { tag, val: this.#readPayload(text, type) };
  }

  #readEnum(text: WaveText, { names }: Of<"enum">, ref: TypeRef): unknown {
    return this.#readCase(text, names, (name) => name, ref);
  }

  /** A name that is a keyword is written with a %. */
  #readCase<T>(text: WaveText, cases: readonly T[], nameOf: (one: T) => string, ref: TypeRef): T {
    const found = text.attempt(() => {
      const label = text.label();
      if (label === undefined || keywords.includes(label)) return undefined;
      return cases.find((one) => nameOf(one) === label.replace("%", ""));
    });
    if (found === undefined) throw this.#unexpected(text, ref);
    return found;
  }

  #readPayload(text: WaveText, type: TypeRef): unknown {
    text.expect("(");
    const value = this.read(text, type);
    text.expect(")");
    return value;
  }

  #readList(text: WaveText, { element, length }: Of<"list">, ref: TypeRef): unknown {
    if (!text.takes("[")) throw this.#unexpected(text, ref);
    const values: unknown[] = [];
    text.list("]", () => values.push(this.read(text, element)));
    if (length !== undefined && values.length !== length)
      throw new TandemError("invalid_argument", `expected ${length} elements, not ${values.length}`);
    const array = typeof element === "string" && length === undefined ? typedArrays[element] : undefined;
    return array === undefined ? values : array.from(values as never[]);
  }

  #readTuple(text: WaveText, { elements }: Of<"tuple">, ref: TypeRef): unknown {
    if (!text.takes("(")) throw this.#unexpected(text, ref);
    const values: unknown[] = [];
    text.list(")", () => {
      const type = elements[values.length];
      if (type === undefined) throw text.unexpected(`")" after ${elements.length} elements`);
      values.push(this.read(text, type));
    });
    if (values.length < elements.length)
      throw new TandemError("invalid_argument", `expected ${elements.length} elements, not ${values.length}`);
    return values;
  }

  #readFlags(text: WaveText, { names }: Of<"flags">, ref: TypeRef): unknown {
    if (!text.takes("{")) throw this.#unexpected(text, ref);
    const flags: Record<string, boolean> = {};
    for (const name of names) flags[camelCase(name)] = false;
    text.list("}", () => {
      const flag = text.attempt(() => {
        const label = text.label()?.replace("%", "");
        return names.find((name) => name === label);
      });
      if (flag === undefined) throw text.unexpected(`a flag (${names.join(", ")})`);
      flags[camelCase(flag)] = true;
    });
    return flags;
  }

  /** `none`, `some(…)`, or the value itself unless that is an option or a result. */
  #readOption(text: WaveText, { some }: Of<"option">): unknown {
    const isNested = this.isOption(some);
    const wrap = (val: unknown): unknown => (isNested ? { tag: "some", val } : val);
    const keyword = this.#keyword(text, ["none", "some"]);
    if (keyword === "none") return isNested ? { tag: "none" } : undefined;
    if (keyword === "some") return wrap(this.#readPayload(text, some));
    if (isNested || this.#kind(some) === "result") throw text.unexpected("none or some(…)");
    return this.read(text, some);
  }

  #none(option: TypeRef): unknown {
    const type = typeof option === "number" ? this.#types[option] : undefined;
    return type?.kind === "option" && this.isOption(type.some) ? { tag: "none" } : undefined;
  }

  #readResult(text: WaveText, { ok, err }: Of<"result">, ref: TypeRef): unknown {
    const keyword = this.#keyword(text, ["ok", "err"]);
    if (keyword !== undefined) {
      const type = keyword === "ok" ? ok : err;
      return { tag: keyword, val: type === null ? undefined : this.#readPayload(text, type) };
    }
    if (ok === null || ["option", "result"].includes(this.#kind(ok) ?? "")) throw this.#unexpected(text, ref);
    return { tag: "ok", val: this.read(text, ok) };
  }

  #keyword(text: WaveText, words: readonly string[]): string | undefined {
    return text.attempt(() => {
      const label = text.label();
      return words.find((word) => word === label);
    });
  }
}

type Of<Kind extends ValueType["kind"]> = Extract<ValueType, { readonly kind: Kind }>;

function readPrimitive(text: WaveText, type: string): unknown {
  if (type === "string") return readString(text);
  if (type === "char") return readChar(text);
  if (type === "error-context") throw new TandemError("unimplemented", "an error-context has no text form");
  const value = text.attempt(() => readWord(text, type));
  if (value === undefined) throw text.unexpected(type);
  return value;
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|-inf/y;

function readWord(text: WaveText, type: string): boolean | number | bigint | undefined {
  const word = text.match(number) ?? text.label();
  if (word === undefined) return undefined;
  if (type === "bool") return word === "true" ? true : word === "false" ? false : undefined;
  if (type === "f32" || type === "f64") return readFloat(word, type === "f32" ? 32 : 64);
  const [signed, bits] = integers[type] ?? [false, 0];
  if (!/^-?\d+$/.test(word)) return undefined;
  const value = BigInt(word);
  const fits = (signed ? BigInt.asIntN : BigInt.asUintN)(bits, value) === value;
  return fits ? (bits === 64 ? value : Number(value)) : undefined;
}
