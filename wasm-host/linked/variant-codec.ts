import { alignTo, type Codec, type CoreValue } from "./codec.ts";
import { Trap } from "./handle-table.ts";
import { neverOne, primitives } from "./primitives.ts";

/** What values of a variant look like in JavaScript. */
export interface VariantShape {
  caseOf(value: unknown): string;
  payloadOf(value: unknown): unknown;
  join(label: string, payload: unknown): unknown;
}

type CoreType = Codec["flat"][number];

/** Of a variant, and of what is one in disguise: option, result, enum. */
export function variantCodec(
  cases: readonly (readonly [label: string, payload: Codec | undefined])[],
  shape: VariantShape,
): Codec {
  const discriminant =
    cases.length <= 0x100 ? primitives.u8 : cases.length <= 0x1_0000 ? primitives.u16 : primitives.u32;
  const payloads = cases.map(([, payload]) => payload);
  const payloadAlign = Math.max(1, ...payloads.map((payload) => payload?.align ?? 1));
  const payloadOffset = alignTo(discriminant.size, payloadAlign);
  const align = Math.max(discriminant.align, payloadAlign);
  const joined = joinFlat(payloads);
  const places = new Map(cases.map(([label], index) => [label, index]));
  const caseAt = (index: number): readonly [label: string, payload: Codec | undefined] => {
    const found = cases[index];
    if (found === undefined) throw new Trap(`case ${index} of ${cases.length}`);
    return found;
  };
  const placeOf = (value: unknown): number => {
    const label = shape.caseOf(value);
    const place = places.get(label);
    if (place === undefined) throw new TypeError(`the host's answer ${label} is none of the type's cases`);
    return place;
  };
  return {
    size: alignTo(payloadOffset + Math.max(0, ...payloads.map((payload) => payload?.size ?? 0)), align),
    align,
    flat: ["i32", ...joined],
    load: (memory, at) => {
      const [label, payload] = caseAt(discriminant.load(memory, at) as number);
      return shape.join(label, payload?.load(memory, at + payloadOffset));
    },
    store: (memory, at, value) => {
      const place = placeOf(value);
      discriminant.store(memory, at, place);
      payloads[place]?.store(memory, at + payloadOffset, shape.payloadOf(value));
    },
    lift: (memory, values, at) => {
      const [label, payload] = caseAt(Number(values[at]) >>> 0);
      if (payload === undefined) return shape.join(label, undefined);
      const narrowed = narrow(values, at + 1, { have: joined, want: payload.flat });
      return shape.join(
        label,
        narrowed === undefined ? payload.lift(memory, values, at + 1) : payload.lift(memory, narrowed, 0),
      );
    },
    lower: joined.length === 0 ? (_memory, value) => placeOf(value) : neverOne,
  };
}

/** The tightest core types that hold the payload of each case (CanonicalABI.md, Flattening). */
function joinFlat(payloads: readonly (Codec | undefined)[]): CoreType[] {
  const flat: CoreType[] = [];
  for (const payload of payloads) {
    for (const [index, type] of (payload?.flat ?? []).entries())
      flat[index] = join(flat[index] ?? type, type);
  }
  return flat;
}

function join(left: CoreType, right: CoreType): CoreType {
  if (left === right) return left;
  return (left === "i32" && right === "f32") || (left === "f32" && right === "i32") ? "i32" : "i64";
}

const scratch = new DataView(new ArrayBuffer(8));

/** The payload's own core values; undefined when they are passed as they are. */
function narrow(
  values: readonly CoreValue[],
  at: number,
  { have, want }: { readonly have: readonly CoreType[]; readonly want: readonly CoreType[] },
): CoreValue[] | undefined {
  if (want.every((type, index) => have[index] === type)) return undefined;
  return want.map((type, index) => {
    const value = values[at + index] ?? 0;
    if (have[index] === type) return value;
    scratch.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
    switch (type) {
      case "i32":
        return scratch.getInt32(0, true);
      case "f32":
        return scratch.getFloat32(0, true);
      case "f64":
        return scratch.getFloat64(0, true);
      default:
        return scratch.getBigInt64(0, true);
    }
  });
}
