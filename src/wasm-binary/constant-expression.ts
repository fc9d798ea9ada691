import type { ByteReader } from "./byte-reader.ts";

const END = 0x0b;

/** Immediates of the instructions that a constant expression may have (core specification 3.0, section 3.4.15), by opcode. */
const immediates: Readonly<Record<number, (reader: ByteReader) => unknown>> = {
  35: (reader) => reader.u32(), // global.get
  65: (reader) => reader.s64(), // i32.const
  66: (reader) => reader.s64(), // i64.const
  67: (reader) => reader.skip(4), // f32.const
  68: (reader) => reader.skip(8), // f64.const
  208: (reader) => reader.s64(), // ref.null
  210: (reader) => reader.u32(), // ref.func
  251: skipCollected,
  253: skipVector,
};
/** i32 and i64: add, sub, mul. */
const arithmetic = new Set([106, 107, 108, 124, 125, 126]);

/** Goes on behind a constant expression. @throws RangeError for an instruction that is none of those */
export function skipConstantExpression(reader: ByteReader): void {
  for (;;) {
    const opcode = reader.u8();
    if (opcode === END) return;
    const skip = immediates[opcode];
    if (skip !== undefined) skip(reader);
    else if (!arithmetic.has(opcode)) throw new RangeError(`instruction ${opcode} in a constant expression`);
  }
}

/** How many indices each instruction of collected objects has: struct.new, array.new and their kin, conversions, ref.i31. */
const indices: Readonly<Record<number, number>> = { 0: 1, 1: 1, 6: 1, 7: 1, 8: 2, 26: 0, 27: 0, 28: 0 };

function skipCollected(reader: ByteReader): void {
  const opcode = reader.u32();
  const count = indices[opcode];
  if (count === undefined) throw new RangeError(`instruction 251 ${opcode} in a constant expression`);
  for (let left = count; left > 0; left--) reader.u32();
}

const V128_CONST = 12;

function skipVector(reader: ByteReader): void {
  const opcode = reader.u32();
  if (opcode !== V128_CONST) throw new RangeError(`instruction 253 ${opcode} in a constant expression`);
  reader.skip(16);
}
