import type { PlannedType, TypeRef } from "../../src/image/link/plan.ts";
import { alignTo, type Codec } from "./codec.ts";
import { toCamelCase } from "./names.ts";
import { neverOne, primitives } from "./primitives.ts";
import { variantCodec } from "./variant-codec.ts";

/** Codecs of a plan's types, by what refers to them. */
export class Codecs {
  readonly #codecs: Codec[] = [];

  constructor(types: readonly PlannedType[]) {
    for (const type of types) this.#codecs.push(this.#make(type));
  }

  of(ref: TypeRef): Codec {
    if (typeof ref === "string") return primitives[ref];
    const codec = this.#codecs[ref];
    if (codec === undefined) throw new TypeError(`the plan has no type ${ref}`);
    return codec;
  }

  #make(type: PlannedType): Codec {
    if ("record" in type)
      return recordCodec(type.record.map(([label, ref]) => [toCamelCase(label), this.of(ref)]));
    if ("tuple" in type) return tupleCodec(type.tuple.map((ref) => this.of(ref)));
    if ("list" in type) return type.list === "u8" ? bytesCodec : listCodec(this.of(type.list));
    if ("flags" in type) return flagsCodec(type.flags.map(toCamelCase));
    if ("enum" in type)
      return variantCodec(
        type.enum.map((label) => [label, undefined]),
        {
          caseOf: (value) => value as string,
          payloadOf: () => undefined,
          join: (label) => label,
        },
      );
    if ("own" in type) return ownCodec(type.own);
    if ("borrow" in type) return borrowCodec(type.borrow);
    const cases = this.#casesOf(type);
    return "option" in type ? variantCodec(cases, optionShape) : variantCodec(cases, taggedShape);
  }

  #casesOf(
    type: Extract<PlannedType, { variant: unknown } | { option: unknown } | { result: unknown }>,
  ): (readonly [string, Codec | undefined])[] {
    const optional = (ref: TypeRef | null): Codec | undefined => (ref === null ? undefined : this.of(ref));
    if ("variant" in type) return type.variant.map(([label, ref]) => [label, optional(ref)]);
    if ("option" in type)
      return [
        ["none", undefined],
        ["some", this.of(type.option)],
      ];
    const [ok, err] = type.result;
    return [
      ["ok", optional(ok)],
      ["err", optional(err)],
    ];
  }
}

const optionShape = {
  caseOf: (value: unknown) => (value === undefined ? "none" : "some"),
  payloadOf: (value: unknown) => value,
  join: (_label: string, payload: unknown) => payload,
};

const taggedShape = {
  caseOf: (value: unknown) => (value as { readonly tag: string }).tag,
  payloadOf: (value: unknown) => (value as { readonly val: unknown }).val,
  join: (tag: string, val: unknown) => ({ tag, val }),
};

function recordCodec(fields: readonly (readonly [name: string, codec: Codec])[]): Codec {
  const tuple = tupleCodec(fields.map(([, codec]) => codec));
  const names = fields.map(([name]) => name);
  const toRecord = (items: unknown): Record<string, unknown> =>
    Object.fromEntries((items as unknown[]).map((item, index) => [names[index], item]));
  const toItems = (value: unknown): unknown[] =>
    names.map((name) => (value as Readonly<Record<string, unknown>>)[name]);
  return {
    ...tuple,
    load: (memory, at) => toRecord(tuple.load(memory, at)),
    store: (memory, at, value) => tuple.store(memory, at, toItems(value)),
    lift: (memory, values, at) => toRecord(tuple.lift(memory, values, at)),
  };
}

export function tupleCodec(items: readonly Codec[]): Codec {
  const offsets: number[] = [];
  let end = 0;
  let align = 1;
  for (const item of items) {
    const offset = alignTo(end, item.align);
    offsets.push(offset);
    end = offset + item.size;
    align = Math.max(align, item.align);
  }
  return {
    size: alignTo(end, align),
    align,
    flat: items.flatMap((item) => item.flat),
    load: (memory, at) => items.map((item, index) => item.load(memory, at + (offsets[index] ?? 0))),
    store: (memory, at, value) => {
      for (const [index, item] of items.entries())
        item.store(memory, at + (offsets[index] ?? 0), (value as readonly unknown[])[index]);
    },
    lift: (memory, values, at) => {
      let next = at;
      return items.map((item) => {
        const value = item.lift(memory, values, next);
        next += item.flat.length;
        return value;
      });
    },
    lower: neverOne,
  };
}

const bytesShape = { size: 1, align: 1 } as const;

/** `list<u8>`, copied. */
const bytesCodec: Codec = {
  size: 8,
  align: 4,
  flat: ["i32", "i32"],
  load: (memory, at) => {
    const [place, length] = [memory.view.getUint32(at, true), memory.view.getUint32(at + 4, true)];
    memory.check(place, length, bytesShape);
    return Uint8Array.prototype.slice.call(memory.bytes, place, place + length);
  },
  store: (memory, at, value) => {
    const bytes = value as Uint8Array;
    const place = memory.allocate(bytes.length, 1);
    memory.bytes.set(bytes, place);
    memory.view.setUint32(at, place, true);
    memory.view.setUint32(at + 4, bytes.length, true);
  },
  lift: (memory, values, at) => {
    const [place, length] = [Number(values[at]) >>> 0, Number(values[at + 1]) >>> 0];
    memory.check(place, length, bytesShape);
    return Uint8Array.prototype.slice.call(memory.bytes, place, place + length);
  },
  lower: neverOne,
};

/** `list<u8>` as the guest's memory itself, for a function that does not keep it. */
export const passingBytesCodec: Codec = {
  ...bytesCodec,
  lift: (memory, values, at) => {
    const [place, length] = [Number(values[at]) >>> 0, Number(values[at + 1]) >>> 0];
    memory.check(place, length, bytesShape);
    return memory.bytes.subarray(place, place + length);
  },
};

function listCodec(element: Codec): Codec {
  const read = (memory: Parameters<Codec["load"]>[0], place: number, length: number): unknown[] => {
    memory.check(place, length, element);
    return Array.from({ length }, (_, index) => element.load(memory, place + index * element.size));
  };
  return {
    size: 8,
    align: 4,
    flat: ["i32", "i32"],
    load: (memory, at) => read(memory, memory.view.getUint32(at, true), memory.view.getUint32(at + 4, true)),
    store: (memory, at, value) => {
      const items = value as ArrayLike<unknown>;
      const place = memory.allocate(items.length * element.size, element.align);
      for (let index = 0; index < items.length; index++)
        element.store(memory, place + index * element.size, items[index]);
      memory.view.setUint32(at, place, true);
      memory.view.setUint32(at + 4, items.length, true);
    },
    lift: (memory, values, at) => read(memory, Number(values[at]) >>> 0, Number(values[at + 1]) >>> 0),
    lower: neverOne,
  };
}

function flagsCodec(names: readonly string[]): Codec {
  const size = names.length <= 8 ? 1 : names.length <= 16 ? 2 : 4;
  const bits = size === 1 ? primitives.u8 : size === 2 ? primitives.u16 : primitives.u32;
  const unpack = (packed: number): Record<string, boolean> =>
    Object.fromEntries(names.map((name, bit) => [name, ((packed >>> bit) & 1) === 1]));
  const pack = (value: unknown): number =>
    names.reduce(
      (packed, name, bit) =>
        (value as Readonly<Record<string, unknown>>)[name] ? packed | (1 << bit) : packed,
      0,
    ) >>> 0;
  return {
    size,
    align: size,
    flat: ["i32"],
    load: (memory, at) => unpack(bits.load(memory, at) as number),
    store: (memory, at, value) => bits.store(memory, at, pack(value)),
    lift: (_memory, values, at) => unpack(Number(values[at])),
    lower: (_memory, value) => pack(value),
  };
}

function ownCodec(type: number): Codec {
  return {
    size: 4,
    align: 4,
    flat: ["i32"],
    load: (memory, at) => memory.handles.remove(type, memory.view.getUint32(at, true)),
    store: (memory, at, value) => memory.view.setUint32(at, memory.handles.add(type, value as object), true),
    lift: (memory, values, at) => memory.handles.remove(type, Number(values[at]) >>> 0),
    lower: (memory, value) => memory.handles.add(type, value as object),
  };
}

/** The host borrows for the length of a call, during which the guest can do nothing. */
function borrowCodec(type: number): Codec {
  return {
    size: 4,
    align: 4,
    flat: ["i32"],
    load: (memory, at) => memory.handles.get(type, memory.view.getUint32(at, true)),
    store: () => {
      throw new TypeError("the host lends nothing");
    },
    lift: (memory, values, at) => memory.handles.get(type, Number(values[at]) >>> 0),
    lower: () => {
      throw new TypeError("the host lends nothing");
    },
  };
}
