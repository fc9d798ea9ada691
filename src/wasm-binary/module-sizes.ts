import { ByteReader } from "./byte-reader.ts";
import { skipConstantExpression } from "./constant-expression.ts";
import { readLimits, readMemoryImports, readValueType } from "./module-types.ts";
import { findSection, sectionIds } from "./sections.ts";

/** What a memory (in pages of 64 KiB) or a table (in elements) begins with, and what it may grow to, if that is said. */
export interface Size {
  readonly initial: bigint;
  readonly maximum: bigint | undefined;
}

/** The sizes of all that each instance of a module has of its own. */
export interface ModuleSizes {
  readonly memories: readonly Size[];
  readonly tables: readonly Size[];
}

/** @throws RangeError for bytes that are no module, or a table's first value that is not understood */
export function readModuleSizes(bytes: Uint8Array): ModuleSizes {
  return { memories: readMemories(bytes), tables: readTables(bytes) };
}

/** Shared memories that a module imports: whoever runs it has to make them. @throws RangeError */
export function readSharedMemories(bytes: Uint8Array): readonly Size[] {
  return readMemoryImports(bytes).filter(({ shared }) => shared);
}

function readMemories(bytes: Uint8Array): Size[] {
  const reader = sectionOf(bytes, sectionIds.memory);
  return Array.from({ length: reader.u32() }, () => readLimits(reader));
}

/** 0x40 0x00 begins a table whose elements have a first value. */
const WITH_VALUE = 0x40;

function readTables(bytes: Uint8Array): Size[] {
  const reader = sectionOf(bytes, sectionIds.table);
  return Array.from({ length: reader.u32() }, () => {
    const withValue = reader.bytes[reader.at] === WITH_VALUE;
    if (withValue) reader.skip(2);
    readValueType(reader);
    const size = readLimits(reader);
    if (withValue) skipConstantExpression(reader);
    return size;
  });
}

function sectionOf(bytes: Uint8Array, id: number): ByteReader {
  return findSection(bytes, id) ?? new ByteReader(Uint8Array.of(0));
}
