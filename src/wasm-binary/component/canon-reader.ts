import type { ByteReader } from "../byte-reader.ts";

/**
 * Reads one entry of a canon section: for a function that is lifted the index of its type, undefined for what makes a core function.
 * @throws RangeError for an operation that is not known
 */
export function readCanon(reader: ByteReader): number | undefined {
  const operation = reader.u8();
  if (operation === 0x00) {
    reader.u8();
    reader.u32();
    readOptions(reader);
    return reader.u32();
  }
  const shape = shapes[operation];
  if (shape === undefined) throw new RangeError(`canonical operation ${operation}`);
  for (const part of shape) parts[part]?.(reader);
  return undefined;
}

/** component-model/design/mvp/Binary.md: b a byte, u an index, o options, t an optional value type. */
const shapes: Readonly<Record<number, string>> = {
  1: "buo", // lower
  2: "u", // resource.new
  3: "u", // resource.drop
  4: "u", // resource.rep
  5: "", // task.cancel
  6: "b", // subtask.cancel
  7: "u", // resource.drop async
  8: "", // backpressure.set
  9: "ro", // task.return
  10: "bu", // context.get
  11: "bu", // context.set
  12: "b", // thread.yield
  13: "", // subtask.drop
  14: "u", // stream.new
  15: "uo",
  16: "uo",
  17: "ub",
  18: "ub",
  19: "u",
  20: "u",
  21: "u", // future.new
  22: "uo",
  23: "uo",
  24: "ub",
  25: "ub",
  26: "u",
  27: "u",
  28: "o", // error-context.new
  29: "o",
  30: "",
  31: "", // waitable-set.new
  32: "bu",
  33: "bu",
  34: "",
  35: "",
  36: "", // backpressure.inc
  37: "",
  38: "", // thread.index
  39: "uu",
  40: "b",
  41: "b",
  42: "",
  43: "b",
};

const parts: Readonly<Record<string, (reader: ByteReader) => void>> = {
  b: (reader) => reader.u8(),
  u: (reader) => reader.u32(),
  o: readOptions,
  r: (reader) => (reader.u8() === 0x00 ? reader.s64() : reader.u32()),
};

/** Options with an index: memory, realloc, post-return, callback, core type. */
const indexed = [0x03, 0x04, 0x05, 0x07, 0x08];

function readOptions(reader: ByteReader): void {
  for (let left = reader.u32(); left > 0; left--) if (indexed.includes(reader.u8())) reader.u32();
}
