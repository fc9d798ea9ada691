import { posix } from "node:path";
import { shown, TandemError } from "../errors.ts";

/**
 * Checks one JSON value and gives it its type. `path` is the property's name for the error. A `null` counts as absent, since
 * Go writes nil slices and maps that way; unknown properties are ignored, as the runtime spec demands.
 */
export type Shape<T> = (value: unknown, path: string) => T;

type Infer<S> = S extends Shape<infer T> ? T : never;

const optionalMark = Symbol("optional");
interface Optional<T> {
  readonly [optionalMark]: Shape<T>;
}
type Fields = Readonly<Record<string, Shape<unknown> | Optional<unknown>>>;
type RequiredKeys<F> = { [K in keyof F]: F[K] extends Optional<unknown> ? never : K }[keyof F];
type OptionalKeys<F> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];
type Inferred<F> = { readonly [K in RequiredKeys<F>]: Infer<F[K]> } & {
  readonly [K in OptionalKeys<F>]?: F[K] extends Optional<infer T> ? T : never;
};

export function optional<T>(shape: Shape<T>): Optional<T> {
  return { [optionalMark]: shape };
}

function refuse(path: string, expected: string): never {
  throw new TandemError("invalid_argument", `${path}: must be ${expected}`);
}

export const text: Shape<string> = (value, path) => {
  if (typeof value !== "string") refuse(path, "a string");
  if (value.includes("\0")) refuse(path, "a string without NUL");
  // UTF-8 has no such thing: what reaches the kernel would be another string.
  if (!value.isWellFormed()) refuse(path, "a string without halves of surrogate pairs");
  return value;
};

/** limits.h, without the NUL. */
const LONGEST_PATH = 4095;

/** A string that names a place in a file system. */
export const filePath: Shape<string> = (value, path) => {
  const result = text(value, path);
  if (result.length > LONGEST_PATH || Buffer.byteLength(result) > LONGEST_PATH)
    refuse(path, `a path of at most ${LONGEST_PATH} bytes`);
  return result;
};

/** The same, from the root. */
export const absolutePath: Shape<string> = (value, path) => {
  const result = filePath(value, path);
  if (!result.startsWith("/")) refuse(path, "an absolute path");
  return result;
};

/** A path below the root, wherever it is looked at from. */
export const mountPoint: Shape<string> = (value, path) => {
  const result = filePath(value, path);
  return posix.resolve("/", result) === "/" ? refuse(path, "a place below the root") : result;
};

export const flag: Shape<boolean> = (value, path) =>
  typeof value === "boolean" ? value : refuse(path, "true or false");

/** An integer within bounds; those beyond 2^53 come as the nearest double. */
export function integer(minimum: number, maximum: number): Shape<number> {
  return (value, path) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      refuse(path, `an integer from ${minimum} to ${maximum}`);
    }
    return value;
  };
}

/** An integer of 64 bits to the last digit; beyond 2^53 it comes as a bigint (exact-json.ts). */
export const exactUint64: Shape<number | bigint> = (value, path) => {
  if (typeof value !== "bigint") return integer(0, 2 ** 64)(value, path);
  return value >= 0n && value < 1n << 64n ? value : refuse(path, `an integer from 0 to ${(1n << 64n) - 1n}`);
};

export const uint32 = integer(0, 0xffff_ffff);

export function oneOf<const T extends string>(...values: readonly T[]): Shape<T> {
  return (value, path) =>
    values.find((known) => known === value) ?? refuse(path, `one of ${values.join(", ")}`);
}

export function list<T>(shape: Shape<T>): Shape<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) refuse(path, "a list");
    for (let i = 0; i < value.length; i++) shape(value[i], `${path}[${i}]`);
    return value as readonly T[];
  };
}

export function map<T>(shape: Shape<T>): Shape<Readonly<Record<string, T>>> {
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(path, "an object");
    for (const [key, entry] of Object.entries(value)) {
      const name = `${path}.${shown(key)}`;
      text(key, `the name ${name}`);
      shape(entry, name);
    }
    return value as Readonly<Record<string, T>>;
  };
}

/** POSIX.1-2008, environ: NAME=value each. */
export const environment: Shape<readonly string[]> = list((value, path) => {
  const result = text(value, path);
  return result.indexOf("=") > 0 ? result : refuse(path, "NAME=value");
});

export function object<F extends Fields>(fields: F): Shape<Inferred<F>> {
  const entries = Object.entries(fields);
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      refuse(path === "" ? "config.json" : path, "an object");
    }
    const record = value as Record<string, unknown>;
    for (const [key, field] of entries) {
      const name = path === "" ? key : `${path}.${key}`;
      if (record[key] === null) delete record[key];
      if (record[key] !== undefined)
        (typeof field === "function" ? field : field[optionalMark])(record[key], name);
      else if (typeof field === "function") throw new TandemError("invalid_argument", `${name}: is missing`);
    }
    return value as Inferred<F>;
  };
}

/** An object whose reader checks it. */
export function checkedElsewhere<T extends object>(): Shape<T> {
  return (value, path) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as T)
      : refuse(path, "an object");
}
