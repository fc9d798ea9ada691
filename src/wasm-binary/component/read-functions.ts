import { ByteReader } from "../byte-reader.ts";
import { preambleLength } from "../sections.ts";
import { readCanon } from "./canon-reader.ts";
import { type ComponentItem, type Item, Scope, typeOf } from "./scope.ts";
import { readSort, TypeReader } from "./type-reader.ts";
import type { ComponentFunctions, FunctionSignature } from "./value-types.ts";

/**
 * The functions that a component exports, with the types of their parameters and results, by following its index spaces: instances
 * are made of the components within it as their imports would have it, without running anything.
 *
 * @throws RangeError for what is no component, or has something that is not known here
 */
export function readComponentFunctions(bytes: Uint8Array): ComponentFunctions {
  const evaluator = new Evaluator(bytes);
  const exports = evaluator.exportsOf(
    { start: 0, end: bytes.length, scope: new Scope(undefined) },
    undefined,
  );
  const functions: Record<string, FunctionSignature> = {};
  for (const [name, item] of exports) {
    if (item.sort === "func" && item.signature !== undefined) functions[name] = item.signature;
    if (item.sort !== "instance") continue;
    for (const [inner, one] of item.exports)
      if (one.sort === "func" && one.signature !== undefined) functions[`${name}#${inner}`] = one.signature;
  }
  return { types: evaluator.types, functions };
}

/** Section ids. */
const sections = { component: 4, instance: 5, alias: 6, type: 7, canon: 8, import: 10, export: 11 } as const;
/** Nobody nests components so deep. */
const DEEPEST = 64;

class Evaluator {
  readonly #bytes: Uint8Array;
  readonly #types = new TypeReader();
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get types(): ComponentFunctions["types"] {
    return this.#types.types;
  }

  /** @param args what its imports are; undefined: what they say themselves */
  exportsOf(
    component: ComponentItem,
    args: ReadonlyMap<string, Item> | undefined,
  ): ReadonlyMap<string, Item> {
    if (++this.#depth > DEEPEST) throw new RangeError("components nested too deep");
    const scope = new Scope(component.scope);
    const exports = new Map<string, Item>();
    const reader = new ByteReader(this.#bytes, component.start, component.end);
    reader.skip(preambleLength);
    while (!reader.isAtEnd) {
      this.#types.step();
      const id = reader.u8();
      this.#readSection(id, reader.part(reader.u32()), { scope, exports, args });
    }
    this.#depth--;
    return exports;
  }

  #readSection(id: number, section: ByteReader, into: Evaluation): void {
    const { scope, exports } = into;
    switch (id) {
      case sections.component:
        scope.add({ sort: "component", component: { start: section.at, end: section.end, scope } });
        break;
      case sections.instance:
        each(section, () => scope.add({ sort: "instance", exports: this.#readInstance(section, scope) }));
        break;
      case sections.alias:
        each(section, () => scope.add(this.#types.readAlias(section, scope)));
        break;
      case sections.type:
        each(section, () => scope.add({ sort: "type", type: this.#types.readType(section, scope) }));
        break;
      case sections.canon:
        each(section, () => this.#readCanon(section, scope));
        break;
      case sections.import:
        each(section, () => scope.add(this.#readImport(section, into)));
        break;
      case sections.export:
        each(section, () => {
          const [name, item] = this.#readExport(section, scope);
          scope.add(item);
          exports.set(name, item);
        });
        break;
    }
  }

  #readInstance(reader: ByteReader, scope: Scope): ReadonlyMap<string, Item> {
    this.#types.step();
    if (reader.u8() === 0x00) {
      const found = scope.get("component", reader.u32());
      const args = new Map<string, Item>();
      each(reader, () => args.set(reader.name(), this.#readItem(reader, scope)));
      if (found.sort !== "component" || found.component === undefined)
        throw new RangeError("unknown component");
      return this.exportsOf(found.component, args);
    }
    const exports = new Map<string, Item>();
    each(reader, () => exports.set(this.#types.readName(reader), this.#readItem(reader, scope)));
    return exports;
  }

  #readItem(reader: ByteReader, scope: Scope): Item {
    this.#types.step();
    const sort = readSort(reader);
    return scope.get(sort, reader.u32());
  }

  #readCanon(reader: ByteReader, scope: Scope): void {
    this.#types.step();
    const lifted = readCanon(reader);
    if (lifted === undefined) return;
    const type = typeOf(scope.get("type", lifted));
    if (type.kind !== "func") throw new RangeError(`type ${lifted} is no function's`);
    scope.add({ sort: "func", signature: type.signature });
  }

  #readImport(reader: ByteReader, { scope, args }: Evaluation): Item {
    this.#types.step();
    const name = this.#types.readName(reader);
    const said = this.#types.readDescription(reader, scope);
    const given = args?.get(name);
    return given !== undefined && given.sort === said.sort ? given : said;
  }

  /** What it is said to be goes before what it is. */
  #readExport(reader: ByteReader, scope: Scope): [name: string, item: Item] {
    this.#types.step();
    const name = this.#types.readName(reader);
    const item = this.#readItem(reader, scope);
    return [name, reader.u8() === 0x01 ? this.#types.readDescription(reader, scope) : item];
  }
}

interface Evaluation {
  readonly scope: Scope;
  readonly exports: Map<string, Item>;
  readonly args: ReadonlyMap<string, Item> | undefined;
}

function each(reader: ByteReader, read: () => void): void {
  for (let left = reader.u32(); left > 0; left--) read();
}
