import type {
  ComponentFunctions,
  FunctionSignature,
  TypeRef,
} from "../../src/wasm-binary/component/value-types.ts";

type Types = ComponentFunctions["types"];

/** A type of values as WIT writes it; what is inside of records and variants is left out. */
export function describeType(types: Types, ref: TypeRef | null): string {
  if (ref === null) return "_";
  if (typeof ref === "string") return ref;
  const type = types[ref];
  const inner = (one: TypeRef | null): string => describeType(types, one);
  switch (type?.kind) {
    case "list":
      return `list<${inner(type.element)}${type.length === undefined ? "" : `, ${type.length}`}>`;
    case "tuple":
      return `tuple<${type.elements.map(inner).join(", ")}>`;
    case "option":
      return `option<${inner(type.some)}>`;
    case "result":
      if (type.err === null) return type.ok === null ? "result" : `result<${inner(type.ok)}>`;
      return `result<${inner(type.ok)}, ${inner(type.err)}>`;
    case "record":
      return `record { ${type.fields.map(([name]) => name).join(", ")} }`;
    case "variant":
      return `variant { ${type.cases.map(([name]) => name).join(", ")} }`;
    case "enum":
    case "flags":
      return `${type.kind} { ${type.names.join(", ")} }`;
    default:
      return type?.what ?? "unknown";
  }
}

/** `add(left: u32, right: u32) -> u32` */
export function describeFunction(types: Types, name: string, { params, result }: FunctionSignature): string {
  const list = params.map(([param, type]) => `${param}: ${describeType(types, type)}`).join(", ");
  return `${name}(${list})${result === null ? "" : ` -> ${describeType(types, result)}`}`;
}
