import { DwarfReader } from "./dwarf-reader.ts";

/** What a unit of .debug_line says before its program. DWARF 5, section 6.2.4; DWARF 4, section 6.2.4. */
export interface LineHeader {
  readonly addressSize: number;
  readonly minimumInstructionLength: number;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  /** How many operands each standard opcode has, from opcode 1 on. */
  readonly operands: readonly number[];
  /** The path of a file by the number that the program has for it. */
  file(number: number): string;
  readonly program: DwarfReader;
}

/** Sections that strings of version 5 are in. */
export interface StringSections {
  readonly str: Uint8Array;
  readonly lineStr: Uint8Array;
}

/** No compiler writes so many into one unit. */
const MOST_FILES = 100_000;

/** @param unit what follows the unit's length @throws RangeError for what is not understood */
export function readLineHeader(unit: DwarfReader, strings: StringSections): LineHeader {
  const version = unit.u16();
  if (version < 2 || version > 5) throw new RangeError(`line program of version ${version}`);
  const addressSize = version >= 5 ? unit.u8() : 4;
  if (version >= 5 && unit.u8() !== 0) throw new RangeError("segments");
  const header = unit.part(unit.offset());
  const minimumInstructionLength = header.u8();
  if (version >= 4) header.u8(); // operations of an instruction: 1 but for VLIW
  header.u8(); // default of is_stmt
  const lineBase = (header.u8() << 24) >> 24;
  const lineRange = header.u8();
  const opcodeBase = header.u8();
  if (lineRange === 0 || opcodeBase === 0) throw new RangeError("line program of range 0");
  const operands = Array.from({ length: opcodeBase - 1 }, () => header.u8());
  const file = version >= 5 ? readTables(header, strings) : readOldTables(header);
  return {
    addressSize,
    minimumInstructionLength,
    lineBase,
    lineRange,
    opcodeBase,
    operands,
    file,
    program: unit,
  };
}

interface FileEntry {
  readonly path: string;
  readonly directory: number;
}

/** Up to version 4: lists that end with an empty name, counted from 1; directory 0 is where the compiler ran, and not named. */
function readOldTables(header: DwarfReader): LineHeader["file"] {
  const directories = [""];
  for (let path = header.text(); path !== ""; path = header.text()) keep(directories, path);
  const files: FileEntry[] = [{ path: "?", directory: 0 }];
  for (let path = header.text(); path !== ""; path = header.text()) {
    keep(files, { path, directory: header.uleb() });
    header.uleb(); // when it was changed
    header.uleb(); // its length
  }
  return (number) => join(files[number], directories);
}

/** Version 5: the tables say themselves what is in them, and count from 0. */
function readTables(header: DwarfReader, strings: StringSections): LineHeader["file"] {
  const directories = readEntries(header, strings).map(({ path }) => path);
  const files = readEntries(header, strings);
  return (number) => join(files[number], directories);
}

const [contentPath, contentDirectory] = [1, 2];

function readEntries(header: DwarfReader, strings: StringSections): FileEntry[] {
  const format = Array.from({ length: header.u8() }, () => [header.uleb(), header.uleb()] as const);
  const count = header.uleb();
  if (count > MOST_FILES || (format.length === 0 && count > 0)) throw new RangeError(`${count} files`);
  const entries: FileEntry[] = [];
  for (let index = 0; index < count; index++) {
    let [path, directory] = ["?", 0];
    for (const [content, form] of format) {
      const value = readForm(header, form, strings);
      if (content === contentPath) path = String(value);
      else if (content === contentDirectory) directory = Number(value);
    }
    entries.push({ path, directory });
  }
  return entries;
}

/** DWARF 5, section 7.5.6: the forms that may stand in these tables. */
function readForm(header: DwarfReader, form: number, strings: StringSections): string | number {
  switch (form) {
    case 0x08: // string
      return header.text();
    case 0x0e: // strp
      return new DwarfReader(strings.str, header.offset()).text();
    case 0x1f: // line_strp
      return new DwarfReader(strings.lineStr, header.offset()).text();
    case 0x0b: // data1
      return header.u8();
    case 0x05: // data2
      return header.u16();
    case 0x06: // data4
      return header.u32le();
    case 0x07: // data8
      return header.u64le();
    case 0x0f: // udata
      return header.uleb();
    case 0x1e: // data16, a checksum
      header.skip(16);
      return 0;
    case 0x09: // block
      header.skip(header.uleb());
      return 0;
    default:
      throw new RangeError(`form ${form}`);
  }
}

function keep<T>(list: T[], entry: T): void {
  if (list.push(entry) > MOST_FILES) throw new RangeError("too many files");
}

function join(entry: FileEntry | undefined, directories: readonly string[]): string {
  if (entry === undefined) return "?";
  const directory = directories[entry.directory] ?? "";
  return entry.path.startsWith("/") || directory === "" ? entry.path : `${directory}/${entry.path}`;
}
