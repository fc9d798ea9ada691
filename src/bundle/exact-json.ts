/** JSON with uint64 in it: a bigint is written with all its digits (JSON.rawJSON, ECMAScript 2025's "JSON.parse source text access"). */
export function exactJson(value: unknown): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "bigint" ? rawJSON(String(part)) : part,
  );
}

/**
 * JSON.parse, but that an integer under one of these keys is a bigint when a double cannot hold it. The text is read twice only if
 * it has so long a number at all.
 */
export function parseExactly(json: string, keys: ReadonlySet<string>): unknown {
  const value: unknown = JSON.parse(json);
  if (!/\d{16}/.test(json)) return value;
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, part: unknown, context: { readonly source?: string }) => unknown,
  ) => unknown;
  try {
    return parse(json, (key, part, { source = "" }) =>
      typeof part === "number" && keys.has(key) && !Number.isSafeInteger(part) && /^-?\d+$/.test(source)
        ? BigInt(source)
        : part,
    );
  } catch (error) {
    // A reviver takes stack for each level, parsing does not. What is nested so deeply is refused by its shape, and a rounded
    // number by whoever reads it.
    if (error instanceof RangeError) return value;
    throw error;
  }
}
