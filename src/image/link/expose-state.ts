import { BinaryReader } from "../binary-reader.ts";
import { type CoreKind, type CoreModule, coreKinds } from "./core-module.ts";
import type { ModuleState } from "./plan.ts";

export interface Exposed {
  readonly bytes: Uint8Array;
  readonly state: ModuleState;
}

const exportSection = 7;
/** Sections after the exports, in the order that the format prescribes: start, elements, data count, code, data. */
const laterSections: ReadonlySet<number> = new Set([8, 9, 12, 10, 11]);

/** The module with its own memories and mutable globals exported: those that it does not export itself, under names of ours. */
export function exposeState(module: CoreModule): Exposed {
  const added: Added[] = [];
  const nameOf = (kind: CoreKind, index: number): string => {
    for (const [name, found] of module.exports) if (found.kind === kind && found.index === index) return name;
    const name = freeName(module, `tandem:${kind}:${index}`);
    added.push({ name, kind, index });
    return name;
  };
  const state = {
    memories: module.memories.map((index) => nameOf("memory", index)),
    globals: module.globals.map((index) => nameOf("global", index)),
  };
  return { bytes: added.length === 0 ? module.bytes : withExports(module.bytes, added), state };
}

interface Added {
  readonly name: string;
  readonly kind: CoreKind;
  readonly index: number;
}

function freeName(module: CoreModule, name: string): string {
  return module.exports.has(name) ? freeName(module, `${name}'`) : name;
}

function withExports(bytes: Uint8Array, added: readonly Added[]): Uint8Array {
  const { start, end, count, entries } = findExports(bytes);
  const body = Buffer.concat([leb(count + added.length), entries, ...added.map(encode)]);
  return Buffer.concat([
    bytes.subarray(0, start),
    Buffer.from([exportSection]),
    leb(body.length),
    body,
    bytes.subarray(end),
  ]);
}

/** Where the export section is, or where it would be. */
function findExports(bytes: Uint8Array): {
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly entries: Uint8Array;
} {
  const reader = new BinaryReader(bytes, 8, "component");
  while (!reader.atEnd()) {
    const start = reader.offset;
    const id = reader.byte();
    const body = reader.slice(reader.u32());
    if (id === exportSection) {
      const count = body.u32();
      return { start, end: reader.offset, count, entries: body.rest() };
    }
    if (laterSections.has(id)) return { start, end: start, count: 0, entries: new Uint8Array(0) };
  }
  return { start: bytes.length, end: bytes.length, count: 0, entries: new Uint8Array(0) };
}

function encode({ name, kind, index }: Added): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([leb(text.length), text, Buffer.from([coreKinds.indexOf(kind)]), leb(index)]);
}

function leb(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  do {
    bytes.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>>= 7;
  } while (left > 0);
  return Buffer.from(bytes);
}
