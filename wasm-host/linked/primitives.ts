import type { Primitive } from "../../src/image/link/plan.ts";
import type { Codec, CoreValue } from "./codec.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { Trap } from "./handle-table.ts";

/** A type of one core value whose form in memory and as an argument differ only in how the bits are fetched. */
interface Scalar<T> {
  readonly size: number;
  readonly core: "i32" | "i64" | "f32" | "f64";
  get(view: DataView, at: number): T;
  set(view: DataView, at: number, value: T): void;
  fromCore(value: CoreValue): T;
  toCore(value: T): CoreValue;
}

function scalar<T>({ size, core, get, set, fromCore, toCore }: Scalar<T>): Codec {
  return {
    size,
    align: size,
    flat: [core],
    load: (memory, at) => get(memory.view, at),
    store: (memory, at, value) => set(memory.view, at, value as T),
    lift: (_memory, values, at) => fromCore(values[at] ?? 0),
    lower: (_memory, value) => toCore(value as T),
  };
}

const number = Number;
const same = (value: number): number => value;

function toChar(code: number): string {
  if (code >= 0x11_0000 || (code >= 0xd800 && code <= 0xdfff)) throw new Trap(`${code} is no character`);
  return String.fromCodePoint(code);
}

const codePointOf = (char: string): number => char.codePointAt(0) ?? 0;

const string: Codec = {
  size: 8,
  align: 4,
  flat: ["i32", "i32"],
  load: (memory, at) =>
    memory.loadString(memory.view.getUint32(at, true), memory.view.getUint32(at + 4, true)),
  store: (memory, at, value) => {
    const [place, length] = memory.storeString(String(value));
    memory.view.setUint32(at, place, true);
    memory.view.setUint32(at + 4, length, true);
  },
  lift: (memory, values, at) => memory.loadString(number(values[at]) >>> 0, number(values[at + 1]) >>> 0),
  lower: neverOne,
};

/** A type of several core values is no function's direct result. */
export function neverOne(_memory: GuestMemory, _value: unknown): never {
  throw new TypeError("a result of several core values goes through memory");
}

export const primitives: Readonly<Record<Primitive, Codec>> = {
  string,
  bool: scalar<boolean>({
    size: 1,
    core: "i32",
    get: (view, at) => view.getUint8(at) !== 0,
    set: (view, at, value) => view.setUint8(at, value ? 1 : 0),
    fromCore: (value) => value !== 0,
    toCore: (value) => (value ? 1 : 0),
  }),
  u8: scalar<number>({
    size: 1,
    core: "i32",
    get: (view, at) => view.getUint8(at),
    set: (view, at, value) => view.setUint8(at, value),
    fromCore: (value) => number(value) & 0xff,
    toCore: same,
  }),
  s8: scalar<number>({
    size: 1,
    core: "i32",
    get: (view, at) => view.getInt8(at),
    set: (view, at, value) => view.setInt8(at, value),
    fromCore: (value) => (number(value) << 24) >> 24,
    toCore: same,
  }),
  u16: scalar<number>({
    size: 2,
    core: "i32",
    get: (view, at) => view.getUint16(at, true),
    set: (view, at, value) => view.setUint16(at, value, true),
    fromCore: (value) => number(value) & 0xffff,
    toCore: same,
  }),
  s16: scalar<number>({
    size: 2,
    core: "i32",
    get: (view, at) => view.getInt16(at, true),
    set: (view, at, value) => view.setInt16(at, value, true),
    fromCore: (value) => (number(value) << 16) >> 16,
    toCore: same,
  }),
  u32: scalar<number>({
    size: 4,
    core: "i32",
    get: (view, at) => view.getUint32(at, true),
    set: (view, at, value) => view.setUint32(at, value, true),
    fromCore: (value) => number(value) >>> 0,
    toCore: same,
  }),
  s32: scalar<number>({
    size: 4,
    core: "i32",
    get: (view, at) => view.getInt32(at, true),
    set: (view, at, value) => view.setInt32(at, value, true),
    fromCore: (value) => number(value) | 0,
    toCore: same,
  }),
  u64: scalar<bigint>({
    size: 8,
    core: "i64",
    get: (view, at) => view.getBigUint64(at, true),
    set: (view, at, value) => view.setBigUint64(at, value, true),
    fromCore: (value) => BigInt.asUintN(64, BigInt(value)),
    toCore: (value) => value,
  }),
  s64: scalar<bigint>({
    size: 8,
    core: "i64",
    get: (view, at) => view.getBigInt64(at, true),
    set: (view, at, value) => view.setBigInt64(at, value, true),
    fromCore: (value) => BigInt.asIntN(64, BigInt(value)),
    toCore: (value) => value,
  }),
  f32: scalar<number>({
    size: 4,
    core: "f32",
    get: (view, at) => view.getFloat32(at, true),
    set: (view, at, value) => view.setFloat32(at, value, true),
    fromCore: number,
    toCore: same,
  }),
  f64: scalar<number>({
    size: 8,
    core: "f64",
    get: (view, at) => view.getFloat64(at, true),
    set: (view, at, value) => view.setFloat64(at, value, true),
    fromCore: number,
    toCore: same,
  }),
  char: scalar<string>({
    size: 4,
    core: "i32",
    get: (view, at) => toChar(view.getUint32(at, true)),
    set: (view, at, value) => view.setUint32(at, codePointOf(value), true),
    fromCore: (value) => toChar(number(value) >>> 0),
    toCore: codePointOf,
  }),
};
