import type { GuestMemory } from "./guest-memory.ts";

/** A core value as WebAssembly passes it to JavaScript: i32 and floats as numbers, i64 as bigints. */
export type CoreValue = number | bigint;

/**
 * How values of one type come to and from a guest (CanonicalABI.md). JavaScript has them as jco's glue does, for which the host's
 * functions are written: records are objects, variants `{ tag, val }`, options undefined or a value, `list<u8>` a Uint8Array.
 */
export interface Codec {
  /** Bytes in memory. */
  readonly size: number;
  readonly align: number;
  /** The core types that it is passed as. */
  readonly flat: readonly ("i32" | "i64" | "f32" | "f64")[];
  /** From memory. */
  load(memory: GuestMemory, at: number): unknown;
  /** To memory that is there already. */
  store(memory: GuestMemory, at: number, value: unknown): void;
  /** From core values, the first at `at`. */
  lift(memory: GuestMemory, values: readonly CoreValue[], at: number): unknown;
  /** As the one core value that it is passed as; not for types with more. */
  lower(memory: GuestMemory, value: unknown): CoreValue;
}

export function alignTo(offset: number, align: number): number {
  return Math.ceil(offset / align) * align;
}
