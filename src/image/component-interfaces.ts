import { TandemError } from "../errors.ts";
import { BinaryReader } from "./binary-reader.ts";

/** Names of a component's own imports and exports, as written: `wasi:cli/environment@0.2.3`. */
export interface ComponentInterfaces {
  /** Without types that are equal to ones of the component's own: there is nothing to be provided. */
  readonly imports: readonly string[];
  readonly exports: readonly string[];
}

const importSection = 10;
const exportSection = 11;
const preamble = Buffer.from([0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00]);

/**
 * Reads the outermost import and export sections of a component (component-model/design/mvp/Binary.md), which takes
 * microseconds where transpiling takes seconds: enough to refuse one that nobody can run, and to choose how to transpile it.
 * @throws TandemError `invalid_argument` when the bytes are no component or end too early
 */
export function readComponentInterfaces(bytes: Uint8Array): ComponentInterfaces {
  if (bytes.length < 8 || preamble.compare(bytes.subarray(0, 8)) !== 0) {
    throw new TandemError("invalid_argument", "not a WebAssembly component");
  }
  const imports: string[] = [];
  const exports: string[] = [];
  const reader = new BinaryReader(bytes, 8, "component");
  while (!reader.atEnd()) {
    const id = reader.byte();
    const section = reader.slice(reader.u32());
    if (id === importSection) imports.push(...readImports(section));
    if (id === exportSection) exports.push(...readExports(section));
  }
  return { imports, exports };
}

function readImports(reader: BinaryReader): string[] {
  const names: string[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const name = readExternName(reader);
    const what = readExternDescription(reader);
    if (what !== "equal type") names.push(name);
  }
  return names;
}

function readExports(reader: BinaryReader): string[] {
  const names: string[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    names.push(readExternName(reader));
    if (reader.byte() === 0x00) reader.byte(); // sort; 0x00 is a core sort, which has a byte of its own
    reader.u32(); // index
    if (reader.byte() === 0x01) readExternDescription(reader);
  }
  return names;
}

/** importname', exportname': a tag, the name, and with tag 2 a version suffix. */
function readExternName(reader: BinaryReader): string {
  const tag = reader.byte();
  const name = reader.string();
  if (tag === 0x02) reader.string();
  return name;
}

/** externdesc: 0x00 core module · 0x01 func · 0x02 value · 0x03 type · 0x04 component · 0x05 instance. */
function readExternDescription(reader: BinaryReader): "equal type" | "other" {
  const kind = reader.byte();
  if (kind === 0x00) reader.byte();
  const bound = kind === 0x02 || kind === 0x03 ? reader.byte() : undefined;
  // A fresh resource has no index; what is equal to another type does.
  if (kind === 0x03 && bound === 0x01) return "other";
  reader.u32();
  return kind === 0x03 ? "equal type" : "other";
}
