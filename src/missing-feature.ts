/** What V8's complaint about a module is about, where it is a proposal that V8 has not or has not finished. */
export function missingFeature(complaint: string): string | undefined {
  const known = proposals.find(([pattern]) => pattern.test(complaint))?.[1];
  return known ?? /--experimental-wasm-([\w-]+)/.exec(complaint)?.[1]?.replaceAll("-", " ");
}

const proposals: readonly (readonly [pattern: RegExp, name: string])[] = [
  // Bit 3 of a memory's flags.
  [/invalid memory limits flags 0x[89a-f]\b/, "custom page sizes"],
  [/invalid numeric opcode: 0xfc1[3-6]\b/, "wide arithmetic"],
  [/invalid numeric opcode: 0xfc12\b/, "memory control"],
  [/--experimental-wasm-wasmfx/, "stack switching"],
  [/--experimental-wasm-shared/, "shared-everything threads"],
  [/mix of legacy and new exception handling/, "exceptions of both kinds in one module"],
];
