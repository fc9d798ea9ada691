import { ByteReader } from "../wasm-binary/byte-reader.ts";
import { ByteWriter } from "../wasm-binary/byte-writer.ts";
import { readLimits, readMemoryImports, readTypes } from "../wasm-binary/module-types.ts";
import { preambleLength, sectionIds } from "../wasm-binary/sections.ts";

/** The custom section by which a stub is known again. */
const keySection = "tandem:stub";

/**
 * A module of the same imports and exports whose functions do nothing. It has no tags, no data, and no memories that nobody
 * else sees; what stays is copied as it is.
 * @throws RangeError for bytes that are no module
 */
export function makeStub(module: Uint8Array, key: string): Uint8Array {
  const parts = readSections(module);
  const memories = keptMemories(parts, readMemoryImports(module).length);
  const stub = new ByteWriter().raw(module.subarray(0, preambleLength));
  for (const id of kept) {
    const contents = id === sectionIds.code ? emptyBodies(parts.get(sectionIds.function)) : parts.get(id);
    if (contents === undefined) continue;
    if (id === sectionIds.memory) stub.section(id, writeMemories(contents, memories));
    else if (id === sectionIds.type) stub.section(id, withoutExceptions(contents));
    else if (id === sectionIds.export) stub.section(id, writeExports(contents, memories));
    else stub.section(id, contents);
  }
  return stub.section(sectionIds.custom, new ByteWriter().name(keySection).name(key).bytes()).bytes();
}

/** The key of a stub; undefined for any other module. */
export function keyOfStub(module: Uint8Array): string | undefined {
  const reader = new ByteReader(module, preambleLength);
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const contents = reader.part(reader.u32());
    if (id === sectionIds.custom && contents.name() === keySection) return contents.name();
  }
  return undefined;
}

/** In the order that the format wants. */
const kept = [
  sectionIds.type,
  sectionIds.import,
  sectionIds.function,
  sectionIds.table,
  sectionIds.memory,
  sectionIds.global,
  sectionIds.export,
  sectionIds.code,
] as const;

function readSections(module: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const sections = new Map<number, Uint8Array>();
  const reader = new ByteReader(module, preambleLength);
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const contents = reader.part(reader.u32());
    if (id !== sectionIds.custom) sections.set(id, module.subarray(contents.at, contents.end));
  }
  return sections;
}

/** References to exceptions by others of the same length, which are as foreign to whatever is lifted and lowered. */
const standIns: ReadonlyMap<number | undefined, number> = new Map([
  [0x69, 0x6f], // exn: extern
  [0x74, 0x72], // noexn: noextern
]);

function withoutExceptions(types: Uint8Array): Uint8Array {
  const written = Uint8Array.from(types);
  readTypes(new ByteReader(types), (at) => {
    const standIn = standIns.get(types[at]);
    if (standIn !== undefined) written[at] = standIn;
  });
  return written;
}

function emptyBodies(functions: Uint8Array | undefined): Uint8Array | undefined {
  if (functions === undefined) return undefined;
  const count = new ByteReader(functions).u32();
  // Three bytes: no locals, unreachable, end.
  const bodies = Buffer.alloc(count * 4, Uint8Array.of(3, 0, 0x00, 0x0b));
  return new ByteWriter().u32(count).raw(bodies).bytes();
}

const externKinds = { memory: 2, tag: 4 } as const;

interface Memories {
  readonly imported: number;
  /** Own memories that are exported, by their old indices, in order. */
  readonly kept: readonly number[];
}

function keptMemories(parts: ReadonlyMap<number, Uint8Array>, imported: number): Memories {
  const own = new Set<number>();
  forEachExport(parts.get(sectionIds.export), ({ kind, index }) => {
    if (kind === externKinds.memory && index >= imported) own.add(index);
  });
  return { imported, kept: [...own].sort((a, b) => a - b) };
}

function writeMemories(section: Uint8Array, { imported, kept: wanted }: Memories): Uint8Array {
  const reader = new ByteReader(section);
  const written = new ByteWriter().u32(wanted.length);
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const start = reader.at;
    readLimits(reader);
    if (wanted.includes(imported + index)) written.raw(section.subarray(start, reader.at));
  }
  return written.bytes();
}

function writeExports(section: Uint8Array, { imported, kept: wanted }: Memories): Uint8Array {
  const written = new ByteWriter();
  let count = 0;
  forEachExport(section, ({ name, kind, index }) => {
    if (kind === externKinds.tag) return;
    const isOwnMemory = kind === externKinds.memory && index >= imported;
    const now = isOwnMemory ? imported + wanted.indexOf(index) : index;
    written.sized(name).raw([kind]).u32(now);
    count++;
  });
  return new ByteWriter().u32(count).raw(written.bytes()).bytes();
}

interface Export {
  readonly name: Uint8Array;
  readonly kind: number;
  readonly index: number;
}

function forEachExport(section: Uint8Array | undefined, visit: (one: Export) => void): void {
  if (section === undefined) return;
  const reader = new ByteReader(section);
  for (let left = reader.u32(); left > 0; left--) {
    const name = reader.part(reader.u32());
    const kind = reader.u8();
    visit({ name: section.subarray(name.at, name.end), kind, index: reader.u32() });
  }
}
