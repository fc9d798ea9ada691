import type { WasmForm } from "./layers.ts";

/** Bytes that `wasmForm` and `isWat` need of a file's beginning. */
export const WASM_HEAD_LENGTH = 32;

/**
 * Module or component, from the preamble (core spec 5.5.16, component-model Binary.md): `\0asm`, then a version of two bytes and a
 * layer of two: 0 is a core module, 1 a component. undefined when it is no wasm binary.
 */
export function wasmForm(head: Uint8Array): WasmForm | undefined {
  if (head.length < 8 || head[0] !== 0x00 || head[1] !== 0x61 || head[2] !== 0x73 || head[3] !== 0x6d)
    return undefined;
  const layer = (head[6] ?? 0) | ((head[7] ?? 0) << 8);
  if (layer === 0) return "module";
  return layer === 1 ? "component" : undefined;
}

/** Whether it begins like WebAssembly's text form, possibly after blanks and comments. */
export function isWat(head: Uint8Array): boolean {
  return /^\s*(;;[^\n]*\n\s*)*\((module|component)\b/.test(Buffer.from(head).toString("latin1"));
}
