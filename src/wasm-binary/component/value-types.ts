/** Types of the component model that need no table: what they are called in WIT. */
export const primitives = [
  ...["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"],
  ...["f32", "f64", "char", "string", "error-context"],
] as const;

/** A primitive type by its name, any other by its index in the table. */
export type TypeRef = string | number;

export type ValueType =
  | { readonly kind: "record"; readonly fields: readonly Named[] }
  | { readonly kind: "variant"; readonly cases: readonly OptionallyNamed[] }
  | { readonly kind: "list"; readonly element: TypeRef; readonly length?: number }
  | { readonly kind: "tuple"; readonly elements: readonly TypeRef[] }
  | { readonly kind: "flags"; readonly names: readonly string[] }
  | { readonly kind: "enum"; readonly names: readonly string[] }
  | { readonly kind: "option"; readonly some: TypeRef }
  | { readonly kind: "result"; readonly ok: TypeRef | null; readonly err: TypeRef | null }
  /** Nothing that can be written down: a resource, a stream … */
  | { readonly kind: "handle"; readonly what: string };

export type Named = readonly [name: string, type: TypeRef];
export type OptionallyNamed = readonly [name: string, type: TypeRef | null];

export interface FunctionSignature {
  readonly params: readonly Named[];
  readonly result: TypeRef | null;
}

/**
 * The functions that a component exports, by `name` or `interface#name`, and the types that theirs are made of: each after those that it is
 * made of, so that no type contains itself.
 */
export interface ComponentFunctions {
  readonly types: readonly ValueType[];
  readonly functions: Readonly<Record<string, FunctionSignature>>;
}

/** Whether JSON that a stranger may have written is that. */
export function isComponentFunctions(value: unknown): value is ComponentFunctions {
  if (!isObject(value)) return false;
  const { types, functions } = value;
  if (!Array.isArray(types) || !isObject(functions)) return false;
  return (
    types.every((type, index) => isObject(type) && isValueType(type, index)) &&
    Object.values(functions).every((one) => isObject(one) && isSignature(one, types.length))
  );
}

function isSignature({ params, result }: Record<string, unknown>, count: number): boolean {
  return isNamed(params, count) && (result === null || isRef(result, count));
}

/** @param index of the type: those below are known already */
function isValueType(type: Record<string, unknown>, index: number): boolean {
  const isMaybe = (one: unknown): boolean => one === null || isRef(one, index);
  switch (type["kind"]) {
    case "record":
      return isNamed(type["fields"], index);
    case "variant":
      return isNamed(type["cases"], index, true);
    case "list":
      return isRef(type["element"], index) && ["number", "undefined"].includes(typeof type["length"]);
    case "tuple":
      return Array.isArray(type["elements"]) && type["elements"].every((one) => isRef(one, index));
    case "flags":
    case "enum":
      return Array.isArray(type["names"]) && type["names"].every((name) => typeof name === "string");
    case "option":
      return isRef(type["some"], index);
    case "result":
      return isMaybe(type["ok"]) && isMaybe(type["err"]);
    case "handle":
      return typeof type["what"] === "string";
    default:
      return false;
  }
}

function isNamed(value: unknown, count: number, optional = false): boolean {
  const isEntry = ([name, type]: readonly unknown[]): boolean =>
    typeof name === "string" && ((optional && type === null) || isRef(type, count));
  return Array.isArray(value) && value.every((entry) => Array.isArray(entry) && isEntry(entry));
}

function isRef(value: unknown, count: number): boolean {
  if (typeof value === "number") return Number.isInteger(value) && value >= 0 && value < count;
  return typeof value === "string" && (primitives as readonly string[]).includes(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
