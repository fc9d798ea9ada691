/** JSON with uint64 in it: a bigint is written with all its digits (JSON.rawJSON, ECMAScript 2025's "JSON.parse source text access"). */
export function exactJson(value: unknown): string {
  const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "bigint" ? rawJSON(String(part)) : part,
  );
}
