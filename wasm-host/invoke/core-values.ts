import { TandemError } from "../../src/errors.ts";
import type { FunctionType } from "../../src/wasm-binary/module-types.ts";
import { printFloat, readFloat } from "./float-text.ts";

/**
 * What the words of a command line are as arguments of a core function: integers in decimal (signed or not) or as 0x…, floats as
 * Rust reads them.
 *
 * @throws TandemError invalid_argument naming the argument and what was expected, unimplemented for types that have no text
 */
export function readCoreArguments(
  name: string,
  { params, results }: FunctionType,
  words: readonly string[],
): unknown[] {
  const unwritable = params.find((type) => !(type in readers));
  if (unwritable !== undefined)
    throw new TandemError("unimplemented", `export ${name} takes a ${unwritable}, which has no text form`);
  // The JavaScript API has neither of these.
  const unprintable = results.find((type) => type === "v128" || /exn/.test(type));
  if (unprintable !== undefined)
    throw new TandemError(
      "unimplemented",
      `export ${name} returns a ${unprintable}, which cannot be printed`,
    );
  if (words.length !== params.length)
    throw new TandemError(
      "invalid_argument",
      `export ${name} takes ${describe(params)}, not ${words.length} ${words.length === 1 ? "word" : "words"}`,
    );
  return params.map((type, index) => {
    const word = words[index] ?? "";
    const value = readers[type]?.(word);
    if (value !== undefined) return value;
    throw new TandemError(
      "invalid_argument",
      `export ${name}: argument ${index + 1}, "${word}", is no ${type}`,
    );
  });
}

function describe(params: readonly string[]): string {
  if (params.length === 0) return "no arguments";
  return `${params.length} argument${params.length === 1 ? "" : "s"} (${params.join(", ")})`;
}

const readers: Readonly<Record<string, (word: string) => number | bigint | undefined>> = {
  i32: (word) => {
    const value = readInteger(word, 32);
    return value === undefined ? undefined : Number(value);
  },
  i64: (word) => readInteger(word, 64),
  f32: (word) => readFloat(word, 32),
  f64: (word) => readFloat(word, 64),
};

/** Both ranges are one in WebAssembly: 4294967295 and -1 are the same i32. */
function readInteger(word: string, width: number): bigint | undefined {
  const [match, sign, digits = ""] = /^([+-]?)(\d+|0x[0-9a-f]+)$/i.exec(word) ?? [];
  if (match === undefined) return undefined;
  const value = sign === "-" ? -BigInt(digits) : BigInt(digits);
  const fits = value >= -(2n ** BigInt(width - 1)) && value < 2n ** BigInt(width);
  return fits ? value : undefined;
}

/** One result a line, as `wasmtime --invoke` prints them; "" without any. */
export function printCoreResults({ results }: FunctionType, returned: unknown): string {
  const values = results.length > 1 ? [...(returned as Iterable<unknown>)] : [returned];
  return results.map((type, index) => `${printCoreValue(type, values[index])}\n`).join("");
}

function printCoreValue(type: string, value: unknown): string {
  if (type === "f32" || type === "f64") return printFloat(Number(value), type === "f32" ? 32 : 64);
  if (type === "i32" || type === "i64") return String(value);
  const kind = referenceKind(type);
  return value === null ? `<null ${kind}>` : `<${kind}>`;
}

/** The top of the hierarchy that a reference type belongs to. */
function referenceKind(type: string): string {
  if (type.includes("func")) return "funcref";
  return type.includes("extern") ? "externref" : "anyref";
}
