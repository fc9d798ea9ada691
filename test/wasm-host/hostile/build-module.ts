import { ByteWriter } from "../../../src/wasm-binary/byte-writer.ts";
import { sectionIds } from "../../../src/wasm-binary/sections.ts";

/** A vector of the binary format: the same item many times, or one after the other. */
export function vector(
  count: number,
  item: Uint8Array | readonly number[] | ((index: number) => Uint8Array),
): Uint8Array {
  const written = new ByteWriter().u32(count);
  for (let index = 0; index < count; index++) written.raw(typeof item === "function" ? item(index) : item);
  return written.bytes();
}

export function name(text: string): Uint8Array {
  return new ByteWriter().name(text).bytes();
}

export function leb(value: number): readonly number[] {
  return [...new ByteWriter().u32(value).bytes()];
}

/** The entry of a function in the code section. */
export function body(code: Uint8Array | readonly number[], locals: readonly number[] = [0]): Uint8Array {
  const contents = new ByteWriter().raw(locals).raw(code).raw([0x0b]).bytes();
  return new ByteWriter().sized(contents).bytes();
}

/** `_start`, as function `index`. */
export function exportOfStart(index = 0): Uint8Array {
  return new ByteWriter().u32(1).name("_start").raw([0]).u32(index).bytes();
}

export type Sections = Partial<Record<keyof typeof sectionIds, Uint8Array>>;

/** Of a command that does nothing, as far as nothing else is said. */
const ordinary: Sections = {
  type: vector(1, [0x60, 0, 0]),
  function: vector(1, [0]),
  export: exportOfStart(),
  code: vector(1, body([])),
};

export function moduleOf(sections: Sections): Uint8Array {
  const written = new ByteWriter().raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
  const all: Sections = { ...ordinary, ...sections };
  for (const [section, id] of Object.entries(sectionIds).sort(([, left], [, right]) => left - right)) {
    const contents = all[section as keyof Sections];
    if (contents !== undefined) written.section(id, contents);
  }
  return written.bytes();
}
