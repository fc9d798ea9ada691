import type { FuncType, ValueType } from "./component-items.ts";
import type { CoreSignature, CoreType } from "./core-module.ts";

/** CanonicalABI.md: more than these go through memory. */
const maxFlatParams = 16;
const maxFlatResults = 1;

/** The core types that a value is passed as (CanonicalABI.md, Flattening), with 32-bit pointers. */
export function flatten(type: ValueType): CoreType[] {
  switch (type.kind) {
    case "primitive":
      return flattenPrimitive(type.name);
    case "record":
      return type.fields.flatMap((field) => flatten(field.type));
    case "tuple":
      return type.items.flatMap(flatten);
    case "variant":
      return flattenCases(type.cases.map((one) => one.type));
    case "option":
      return flattenCases([undefined, type.some]);
    case "result":
      return flattenCases([type.ok, type.err]);
    case "list":
      return ["i32", "i32"];
    case "flags":
    case "enum":
    case "own":
    case "borrow":
      return ["i32"];
  }
}

function flattenPrimitive(name: string): CoreType[] {
  switch (name) {
    case "string":
      return ["i32", "i32"];
    case "s64":
    case "u64":
      return ["i64"];
    case "f32":
    case "f64":
      return [name];
    default:
      return ["i32"];
  }
}

function flattenCases(cases: readonly (ValueType | undefined)[]): CoreType[] {
  const flat: CoreType[] = [];
  for (const type of cases) {
    if (type === undefined) continue;
    for (const [index, core] of flatten(type).entries()) flat[index] = join(flat[index] ?? core, core);
  }
  return ["i32", ...flat];
}

function join(left: CoreType, right: CoreType): CoreType {
  if (left === right) return left;
  const pair = `${left} ${right}`;
  return pair === "i32 f32" || pair === "f32 i32" ? "i32" : "i64";
}

/** The signature of a function as a core module imports it. */
export function loweredSignature(type: FuncType): CoreSignature {
  const params = type.params.flatMap((param) => flatten(param.type));
  const results = type.result === undefined ? [] : flatten(type.result);
  const throughMemory = results.length > maxFlatResults;
  return {
    params: [
      ...(params.length > maxFlatParams ? (["i32"] as const) : params),
      ...(throughMemory ? (["i32"] as const) : []),
    ],
    results: throughMemory ? [] : results,
  };
}

export function sameSignature(left: CoreSignature | undefined, right: CoreSignature): boolean {
  return (
    left !== undefined &&
    left.params.join() === right.params.join() &&
    left.results.join() === right.results.join()
  );
}

/** Whether passing it reads or writes memory, or asks for some of it. */
export function usesMemory(type: ValueType): boolean {
  switch (type.kind) {
    case "primitive":
      return type.name === "string";
    case "list":
      return true;
    case "record":
      return type.fields.some((field) => usesMemory(field.type));
    case "tuple":
      return type.items.some(usesMemory);
    case "variant":
      return type.cases.some((one) => one.type !== undefined && usesMemory(one.type));
    case "option":
      return usesMemory(type.some);
    case "result":
      return [type.ok, type.err].some((one) => one !== undefined && usesMemory(one));
    default:
      return false;
  }
}
