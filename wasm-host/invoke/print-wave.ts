import type { ComponentFunctions, TypeRef } from "../../src/wasm-binary/component/value-types.ts";
import { printFloat } from "./float-text.ts";
import { escapeText } from "./wave-strings.ts";
import { camelCase } from "./wit-names.ts";

type Types = ComponentFunctions["types"];

/** A value of jco's as WAVE. What a guest's glue gave that is none of this type is printed as what it is taken for. */
export function printWave(types: Types, ref: TypeRef | null, value: unknown): string {
  if (ref === null) return "";
  if (typeof ref === "string") return printPrimitive(ref, value);
  const type = types[ref];
  const inner = (one: TypeRef | null, part: unknown): string => printWave(types, one, part);
  switch (type?.kind) {
    case "record":
      return printRecord(types, type.fields, toObject(value));
    case "variant": {
      const { tag, val } = toObject(value);
      const [, payload] = type.cases.find(([name]) => name === tag) ?? [];
      return payload == null ? printLabel(tag) : `${printLabel(tag)}(${inner(payload, val)})`;
    }
    case "list":
      return `[${toArray(value)
        .map((one) => inner(type.element, one))
        .join(", ")}]`;
    case "tuple":
      return `(${type.elements.map((one, index) => inner(one, toArray(value)[index])).join(", ")})`;
    case "flags":
      return `{${type.names.filter((name) => toObject(value)[camelCase(name)] === true).join(", ")}}`;
    case "enum":
      return printLabel(value);
    case "option": {
      const some = unwrapOption(types, ref, value);
      return some === undefined ? "none" : `some(${inner(type.some, some.value)})`;
    }
    case "result": {
      const { tag, val } = toObject(value);
      const payload = tag === "ok" ? type.ok : type.err;
      return payload === null ? String(tag) : `${String(tag)}(${inner(payload, val)})`;
    }
    default:
      return `<${type?.what ?? "unknown"}>`;
  }
}

/** An option within an option has a tag; any other is undefined, or the value. */
function unwrapOption(types: Types, ref: TypeRef, value: unknown): { readonly value: unknown } | undefined {
  const type = typeof ref === "number" ? types[ref] : undefined;
  const isNested =
    type?.kind === "option" && typeof type.some === "number" && types[type.some]?.kind === "option";
  if (!isNested) return value === undefined || value === null ? undefined : { value };
  const { tag, val } = toObject(value);
  return tag === "some" ? { value: val } : undefined;
}

/** Options that are none are left out. */
function printRecord(
  types: Types,
  fields: readonly (readonly [string, TypeRef])[],
  value: Readonly<Record<string, unknown>>,
): string {
  const printed = fields.flatMap(([name, type]) => {
    const text = printWave(types, type, value[camelCase(name)]);
    const isOption = typeof type === "number" && types[type]?.kind === "option";
    return isOption && text === "none" ? [] : [`${name}: ${text}`];
  });
  return printed.length === 0 ? "{:}" : `{${printed.join(", ")}}`;
}

function printPrimitive(type: string, value: unknown): string {
  switch (type) {
    case "string":
      return `"${escapeText(String(value))}"`;
    case "char":
      return `'${escapeText(String(value))}'`;
    case "f32":
    case "f64":
      return printFloat(Number(value), type === "f32" ? 32 : 64).replace("NaN", "nan");
    default:
      return String(value);
  }
}

const keywords = new Set(["true", "false", "some", "none", "ok", "err", "inf", "nan"]);

function printLabel(label: unknown): string {
  return keywords.has(String(label)) ? `%${String(label)}` : String(label);
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function toArray(value: unknown): readonly unknown[] {
  return typeof value === "object" && value !== null && Symbol.iterator in value
    ? [...(value as Iterable<unknown>)]
    : [];
}
