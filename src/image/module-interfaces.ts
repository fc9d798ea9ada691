import { TandemError } from "../errors.ts";
import { BinaryReader } from "./binary-reader.ts";
import { wasmForm } from "./wasm-form.ts";

const kinds = ["function", "table", "memory", "global", "tag"] as const;

type Kind = (typeof kinds)[number];

/** What a core module asks for and offers. */
export interface ModuleInterfaces {
  readonly imports: readonly { readonly module: string; readonly name: string; readonly kind: Kind }[];
  readonly exports: readonly { readonly name: string; readonly kind: Kind }[];
}

const [IMPORTS, EXPORTS] = [2, 7];

/**
 * Reads the import and export sections of a core module (core spec 5.5). Nothing of it is compiled: a module that somebody only wants
 * to look at need not get near V8.
 * @throws TandemError `invalid_argument` when the bytes are no module or end too early
 */
export function readModuleInterfaces(bytes: Uint8Array): ModuleInterfaces {
  if (wasmForm(bytes) !== "module") throw new TandemError("invalid_argument", "not a WebAssembly module");
  const reader = new BinaryReader(bytes, 8, "module");
  let imports: ModuleInterfaces["imports"] = [];
  let exports: ModuleInterfaces["exports"] = [];
  while (!reader.atEnd()) {
    const id = reader.byte();
    const section = reader.slice(reader.u32());
    if (id === IMPORTS) imports = readList(section, readImport);
    if (id === EXPORTS) exports = readList(section, readExport);
  }
  return { imports, exports };
}

function readList<T>(reader: BinaryReader, read: (reader: BinaryReader) => T): T[] {
  const items: T[] = [];
  for (let left = reader.u32(); left > 0; left--) items.push(read(reader));
  return items;
}

function readImport(reader: BinaryReader): ModuleInterfaces["imports"][number] {
  const [module, name] = [reader.string(), reader.string()];
  const kind = readKind(reader);
  skipType(kind, reader);
  return { module, name, kind };
}

function readExport(reader: BinaryReader): ModuleInterfaces["exports"][number] {
  const name = reader.string();
  const kind = readKind(reader);
  reader.u32();
  return { name, kind };
}

function readKind(reader: BinaryReader): Kind {
  const number = reader.byte();
  const kind = kinds[number];
  if (kind === undefined)
    throw new TandemError("invalid_argument", `module: import or export of kind ${number}`);
  return kind;
}

/** externtype (5.2.13): what comes behind the kind of an import. */
function skipType(kind: Kind, reader: BinaryReader): void {
  switch (kind) {
    case "function":
      reader.u32();
      return;
    case "table":
      skipValueType(reader);
      skipLimits(reader);
      return;
    case "memory":
      skipLimits(reader);
      return;
    case "global":
      skipValueType(reader);
      reader.byte();
      return;
    case "tag":
      reader.byte();
      reader.u32();
  }
}

/** 0x63 and 0x64 have a heap type behind them, as a signed number of up to 33 bits. */
function skipValueType(reader: BinaryReader): void {
  const type = reader.byte();
  if (type === 0x63 || type === 0x64) while (reader.byte() >= 0x80);
}

/** Flags, of which the first says whether there is a maximum; of a 64-bit memory both may be longer than 32 bits. */
function skipLimits(reader: BinaryReader): void {
  const flags = reader.byte();
  const numbers = (flags & 1) === 0 ? 1 : 2;
  for (let left = numbers; left > 0; left--) while (reader.byte() >= 0x80);
}
