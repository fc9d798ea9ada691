import { ByteReader } from "./byte-reader.ts";
import { findSection, sectionIds } from "./sections.ts";

/** Value types as the text format writes them: `i32`, `v128`, `externref`, `(ref null any)`. */
export interface FunctionType {
  readonly params: readonly string[];
  readonly results: readonly string[];
}

export interface MemoryImport {
  readonly module: string;
  readonly name: string;
  /** In pages. */
  readonly initial: bigint;
  readonly maximum: bigint | undefined;
  readonly shared: boolean;
  /** Whether its addresses have 64 bits. */
  readonly memory64: boolean;
}

/**
 * The type of an exported function of a valid module, which WebAssembly's JavaScript API does not tell; undefined when there is none
 * of this name.
 * @throws RangeError for bytes that are no module
 */
export function findExportedFunction(bytes: Uint8Array, name: string): FunctionType | undefined {
  const index = findExport(bytes, name);
  if (index === undefined) return undefined;
  const { functions } = readImports(bytes);
  const typeIndex =
    index < functions.length ? functions[index] : readFunction(bytes, index - functions.length);
  const types = readTypes(findSection(bytes, sectionIds.type) ?? new ByteReader(Uint8Array.of(0)));
  const found = types[typeIndex ?? -1];
  // By its number alone nobody could tell what kind of reference it is.
  const named = (type: string): string =>
    type.replace(/\d+(?=\)$)/, (at) => (types[Number(at)] === undefined ? "any" : "func"));
  return found && { params: found.params.map(named), results: found.results.map(named) };
}

/** @throws RangeError for bytes that are no module */
export function readMemoryImports(bytes: Uint8Array): readonly MemoryImport[] {
  return readImports(bytes).memories;
}

const externFunction = 0;

function findExport(bytes: Uint8Array, wanted: string): number | undefined {
  const reader = findSection(bytes, sectionIds.export);
  if (reader === undefined) return undefined;
  for (let left = reader.u32(); left > 0; left--) {
    const name = reader.name();
    const kind = reader.u8();
    const index = reader.u32();
    if (kind === externFunction && name === wanted) return index;
  }
  return undefined;
}

/** The type of a function of the module's own. */
function readFunction(bytes: Uint8Array, wanted: number): number | undefined {
  const reader = findSection(bytes, sectionIds.function);
  if (reader === undefined) return undefined;
  const count = reader.u32();
  for (let index = 0; index < count; index++) {
    const type = reader.u32();
    if (index === wanted) return type;
  }
  return undefined;
}

interface Imports {
  /** The types of imported functions. */
  readonly functions: readonly number[];
  readonly memories: readonly MemoryImport[];
}

function readImports(bytes: Uint8Array): Imports {
  const functions: number[] = [];
  const memories: MemoryImport[] = [];
  const reader = findSection(bytes, sectionIds.import) ?? new ByteReader(Uint8Array.of(0));
  for (let left = reader.u32(); left > 0; left--) {
    const module = reader.name();
    const name = reader.name();
    const kind = reader.u8();
    switch (kind) {
      case externFunction:
        functions.push(reader.u32());
        break;
      case 1: // table
        readValueType(reader);
        readLimits(reader);
        break;
      case 2:
        memories.push({ module, name, ...readLimits(reader) });
        break;
      case 3: // global: its type, and whether it is mutable
        readValueType(reader);
        reader.u8();
        break;
      case 4: // tag: an attribute, and its type
        reader.u8();
        reader.u32();
        break;
      default:
        throw new RangeError(`import ${module}.${name}: of unknown kind ${kind}`);
    }
  }
  return { functions, memories };
}

/** How large a memory is, and what kind of one: its type. */
export function readLimits(reader: ByteReader): Omit<MemoryImport, "module" | "name"> {
  const flags = reader.u8();
  const initial = reader.u64();
  const maximum = flags & 1 ? reader.u64() : undefined;
  return { initial, maximum, shared: (flags & 2) !== 0, memory64: (flags & 4) !== 0 };
}

const [recursive, open, final, array, struct, func] = [0x4e, 0x50, 0x4f, 0x5e, 0x5f, 0x60];

/** Told where the last byte of each value type is: of `exnref` the only one, of `(ref null exn)` that of the heap type. */
type OnValueType = (at: number) => void;

/**
 * All types of a type section by index; what is no function is undefined.
 * @throws RangeError for what is no type section
 */
export function readTypes(reader: ByteReader, onValueType?: OnValueType): (FunctionType | undefined)[] {
  const types: (FunctionType | undefined)[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    if (reader.bytes[reader.at] !== recursive) {
      types.push(readSubtype(reader, onValueType));
      continue;
    }
    reader.u8();
    for (let members = reader.u32(); members > 0; members--) types.push(readSubtype(reader, onValueType));
  }
  return types;
}

function readSubtype(reader: ByteReader, onValueType?: OnValueType): FunctionType | undefined {
  let form = reader.u8();
  if (form === open || form === final) {
    for (let supertypes = reader.u32(); supertypes > 0; supertypes--) reader.u32();
    form = reader.u8();
  }
  switch (form) {
    case func:
      return { params: readValueTypes(reader, onValueType), results: readValueTypes(reader, onValueType) };
    case array:
      readField(reader, onValueType);
      return undefined;
    case struct:
      for (let fields = reader.u32(); fields > 0; fields--) readField(reader, onValueType);
      return undefined;
    default:
      throw new RangeError(`type of unknown form ${form}`);
  }
}

/** A value type or a packed one, and whether it is mutable. */
function readField(reader: ByteReader, onValueType?: OnValueType): void {
  readValueType(reader, onValueType);
  reader.u8();
}

function readValueTypes(reader: ByteReader, onValueType?: OnValueType): string[] {
  const types: string[] = [];
  for (let left = reader.u32(); left > 0; left--) types.push(readValueType(reader, onValueType));
  return types;
}

/** Core specification, section 5.3: types of one byte, by it. */
const shortTypes: Readonly<Record<number, string>> = {
  127: "i32",
  126: "i64",
  125: "f32",
  124: "f64",
  123: "v128",
  120: "i8",
  119: "i16",
  116: "nullexnref",
  115: "nullfuncref",
  114: "nullexternref",
  113: "nullref",
  112: "funcref",
  111: "externref",
  110: "anyref",
  109: "eqref",
  108: "i31ref",
  107: "structref",
  106: "arrayref",
  105: "exnref",
};
const [refNull, ref] = [0x63, 0x64];

export function readValueType(reader: ByteReader, onValueType?: OnValueType): string {
  const byte = reader.u8();
  const type = byte === refNull || byte === ref ? readReference(reader, byte === refNull) : shortTypes[byte];
  if (type === undefined) throw new RangeError(`unknown value type ${byte}`);
  onValueType?.(reader.at - 1);
  return type;
}

function readReference(reader: ByteReader, nullable: boolean): string {
  const heap = reader.s64();
  const name = heap >= 0n ? String(heap) : heapName(shortTypes[Number(heap + 128n)] ?? "unknown");
  return `(ref ${nullable ? "null " : ""}${name})`;
}

/** `funcref` is short for `(ref null func)`, `nullfuncref` for `(ref null nofunc)`. */
function heapName(short: string): string {
  return short === "nullref" ? "none" : short.replace(/^null/, "no").replace(/ref$/, "");
}
