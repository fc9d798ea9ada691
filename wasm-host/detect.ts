export type WasmForm = "module" | "component";

/** How many bytes `detectWasm` needs. */
export const wasmPreambleLength = 8;

/**
 * What the first bytes of a file say it is, by the preamble of the core and the component binary formats: the magic, 16 bits
 * of version, 16 bits of layer (0 core, 1 component). undefined when it is no WebAssembly, or shorter than the preamble.
 */
export function detectWasm(head: Uint8Array): WasmForm | undefined {
  if (head.length < wasmPreambleLength || !hasMagic(head)) return undefined;
  const layer = (head[6] ?? 0) | ((head[7] ?? 0) << 8);
  if (layer === 0) return "module";
  return layer === 1 ? "component" : undefined;
}

/** Whether it begins as every WebAssembly file does: `\0asm`. */
export function hasMagic(head: Uint8Array): boolean {
  return head[0] === 0 && head[1] === 0x61 && head[2] === 0x73 && head[3] === 0x6d;
}
