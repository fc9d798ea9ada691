import { ByteReader } from "./byte-reader.ts";

/** Section ids of a core module. */
export const sectionIds = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;

/** The magic and the version, before the first section of a module or component. */
export const preambleLength = 8;

/** The contents of the first section with this id; undefined when there is none. @throws RangeError for a module that is cut off */
export function findSection(bytes: Uint8Array, id: number): ByteReader | undefined {
  const reader = new ByteReader(bytes, preambleLength);
  while (!reader.isAtEnd) {
    const found = reader.u8();
    const contents = reader.part(reader.u32());
    if (found === id) return contents;
  }
  return undefined;
}

/** The contents of a custom section; undefined when there is none of this name. @throws RangeError for a module that is cut off */
export function findCustomSection(bytes: Uint8Array, name: string): Uint8Array | undefined {
  const reader = new ByteReader(bytes, preambleLength);
  while (!reader.isAtEnd) {
    const found = reader.u8();
    const contents = reader.part(reader.u32());
    if (found === sectionIds.custom && contents.name() === name)
      return bytes.subarray(contents.at, contents.end);
  }
  return undefined;
}
