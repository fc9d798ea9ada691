import type { BinaryReader } from "../binary-reader.ts";

/** What follows an opcode. */
const none = 0;
const leb = 1;
const twoLebs = 2;
const memoryArgument = 3;
const fourBytes = 4;
const eightBytes = 5;
const special = 6;
const unknown = 7;

/** By opcode (WebAssembly 3.0 §5.4, with the older exceptions). */
const immediates = makeImmediates();

function makeImmediates(): Uint8Array {
  const table = new Uint8Array(256).fill(unknown);
  const set = (kind: number, ...ranges: (readonly [number, number] | number)[]): void => {
    for (const range of ranges) {
      const [first, last] = typeof range === "number" ? [range, range] : range;
      table.fill(kind, first, last + 1);
    }
  };
  set(none, 0x00, 0x01, 0x05, 0x0a, 0x0b, 0x0f, 0x19, 0x1a, 0x1b, [0x45, 0xc4], 0xd1, 0xd3, 0xd4);
  // block, loop, if and try have a type; branches a label; calls, locals, globals, tables, memories an index
  set(leb, [0x02, 0x04], [0x06, 0x09], 0x0c, 0x0d, 0x10, 0x12, 0x14, 0x15, 0x18, [0x20, 0x25], [0x3f, 0x42]);
  set(leb, 0xd0, 0xd2, 0xd5, 0xd6);
  set(twoLebs, 0x11, 0x13);
  set(memoryArgument, [0x28, 0x3e]);
  set(fourBytes, 0x43);
  set(eightBytes, 0x44);
  // br_table, select with types, try_table, table.set, and what has a second opcode
  set(special, 0x0e, 0x1c, 0x1f, 0x26, 0xfb, 0xfc, 0xfd, 0xfe);
  return table;
}

const tableWrite = "writes to a table";

/**
 * Looks through a code section for what changes an instance beside its memories and globals.
 * @returns what it found first, or that there is an instruction that it does not know; undefined when there is nothing
 */
export function findLasting(section: BinaryReader): string | undefined {
  for (let left = section.u32(); left > 0; left--) {
    const body = section.slice(section.u32());
    body.vector(() => {
      body.u32();
      if (body.byte() >= 0x65) return;
      body.s33(); // a reference with its heap type
    });
    while (!body.atEnd()) {
      const found = readInstruction(body);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

/** Up to its `end`. */
export function skipConstantExpression(reader: BinaryReader): void {
  while (reader.peek() !== 0x0b) {
    if (reader.peek() === 0xfb) {
      reader.byte();
      const opcode = reader.u32();
      // struct.new, array.new and the like have an index or two; converting to and from extern and i31 has none
      if (opcode <= 0x07) reader.skipLeb();
      if (opcode === 0x08) reader.skipLeb();
    } else readInstruction(reader);
  }
  reader.byte();
}

function readInstruction(reader: BinaryReader): string | undefined {
  const opcode = reader.byte();
  switch (immediates[opcode]) {
    case none:
      return undefined;
    case leb:
      reader.skipLeb();
      return undefined;
    case twoLebs:
      reader.skipLeb();
      reader.skipLeb();
      return undefined;
    case memoryArgument:
      skipMemoryArgument(reader);
      return undefined;
    case fourBytes:
      reader.skip(4);
      return undefined;
    case eightBytes:
      reader.skip(8);
      return undefined;
    case special:
      return readSpecial(opcode, reader);
    default:
      return unknownInstruction(opcode);
  }
}

function unknownInstruction(...opcode: readonly number[]): string {
  return `the unknown instruction ${opcode.map((byte) => byte.toString(16)).join(" ")}`;
}

function readSpecial(opcode: number, reader: BinaryReader): string | undefined {
  switch (opcode) {
    case 0x0e:
      reader.vector(() => reader.skipLeb());
      reader.skipLeb();
      return undefined;
    case 0x1c:
      reader.vector(() => {
        const type = reader.byte();
        if (type === 0x63 || type === 0x64) reader.skipLeb(); // a reference with its heap type
      });
      return undefined;
    case 0x1f:
      reader.skipLeb();
      reader.vector(() => {
        const withTag = reader.byte() < 2;
        if (withTag) reader.skipLeb();
        reader.skipLeb();
      });
      return undefined;
    case 0x26:
      return tableWrite;
    case 0xfc:
      return readBulk(reader);
    case 0xfd:
      return readVector(reader);
    case 0xfe:
      return readAtomic(reader);
    default:
      return "objects of the collector";
  }
}

/** Conversions, memories and tables as a whole. */
function readBulk(reader: BinaryReader): string | undefined {
  const opcode = reader.u32();
  switch (opcode) {
    case 8: // memory.init
    case 10: // memory.copy
      reader.skipLeb();
      reader.skipLeb();
      return undefined;
    case 11: // memory.fill
    case 16: // table.size
      reader.skipLeb();
      return undefined;
    case 9: // data.drop
    case 13: // elem.drop
      return "drops a segment";
    case 12: // table.init
    case 14: // table.copy
    case 15: // table.grow
    case 17: // table.fill
      return tableWrite;
    default:
      // conversions that saturate, arithmetic of 128 bits
      return opcode < 8 || (opcode >= 19 && opcode <= 22) ? undefined : unknownInstruction(0xfc, opcode);
  }
}

function readVector(reader: BinaryReader): string | undefined {
  const opcode = reader.u32();
  if (opcode <= 11 || opcode === 92 || opcode === 93) skipMemoryArgument(reader);
  else if (opcode === 12 || opcode === 13) reader.skip(16);
  else if (opcode >= 21 && opcode <= 34) reader.skip(1);
  else if (opcode >= 84 && opcode <= 91) {
    skipMemoryArgument(reader);
    reader.skip(1);
  } else if (opcode > 0x113) return unknownInstruction(0xfd, opcode);
  return undefined;
}

function readAtomic(reader: BinaryReader): string | undefined {
  const opcode = reader.u32();
  if (opcode === 3) reader.skip(1);
  else if (opcode <= 2 || (opcode >= 0x10 && opcode <= 0x4e)) skipMemoryArgument(reader);
  else return unknownInstruction(0xfe, opcode);
  return undefined;
}

/** Alignment, whose bit 6 says that the memory's index follows, and offset. */
function skipMemoryArgument(reader: BinaryReader): void {
  if ((reader.u32() & 0x40) !== 0) reader.skipLeb();
  reader.skipLeb();
}
