/**
 * Which functions of modules a guest has called: sha256 of the module ↦ a bit for each of its own functions, the first one's the lowest
 * of the first byte; base64. It comes out of the guest's process: it may be made up, but it can only ever decide which of a module's
 * functions are optimised.
 */
export type RanFunctions = Readonly<Record<string, string>>;

export function encodeFunctions(functions: readonly number[], count: number): string {
  const bits = Buffer.alloc(Math.ceil(count / 8));
  for (const index of functions) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  return bits.toString("base64");
}

/** undefined when it is not of a module with so many functions. */
export function decodeFunctions(text: string, count: number): number[] | undefined {
  const bits = Buffer.from(text, "base64");
  if (bits.length !== Math.ceil(count / 8)) return undefined;
  const functions: number[] = [];
  for (let index = 0; index < count; index++) {
    if (((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0) functions.push(index);
  }
  return functions;
}

export function isRanFunctions(value: unknown): value is RanFunctions {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).every(
    ([module, functions]) => /^[0-9a-f]{64}$/.test(module) && typeof functions === "string",
  );
}
