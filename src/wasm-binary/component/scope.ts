import type { FunctionSignature, TypeRef } from "./value-types.ts";

/** What a component's index spaces hold, as far as the types of functions are concerned. */
export type Item =
  | { readonly sort: "func"; readonly signature: FunctionSignature | undefined }
  | { readonly sort: "type"; readonly type: TypeItem }
  | { readonly sort: "instance"; readonly exports: ReadonlyMap<string, Item> }
  | { readonly sort: "component"; readonly component: ComponentItem | undefined }
  | { readonly sort: "other" };

export type TypeItem =
  | { readonly kind: "value"; readonly ref: TypeRef }
  | { readonly kind: "func"; readonly signature: FunctionSignature }
  | { readonly kind: "instance"; readonly exports: ReadonlyMap<string, Item> }
  | { readonly kind: "component" }
  | { readonly kind: "resource" };

/** A component within a component, and where it was defined: it may refer to types outside. */
export interface ComponentItem {
  readonly start: number;
  readonly end: number;
  readonly scope: Scope;
}

/** Of the binary format: component-model/design/mvp/Binary.md. Values and all core sorts are "other". */
const sorts: Readonly<Record<number, Item["sort"]>> = { 1: "func", 3: "type", 4: "component", 5: "instance" };

export function sortOf(byte: number): Item["sort"] {
  return sorts[byte] ?? "other";
}

/** The index spaces of a component, or of a component's or instance's type. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly #items: Record<Item["sort"], Item[]> = {
    func: [],
    type: [],
    instance: [],
    component: [],
    other: [],
  };

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  add(item: Item): void {
    this.#items[item.sort].push(item);
  }

  /** @throws RangeError for an index that there is not */
  get(sort: Item["sort"], index: number): Item {
    if (sort === "other") return { sort };
    const item = this.#items[sort][index];
    if (item === undefined) throw new RangeError(`no ${sort} ${index}`);
    return item;
  }

  /** The scope so many levels out. @throws RangeError */
  outer(levels: number): Scope {
    let scope: Scope | undefined = this;
    for (let left = levels; left > 0; left--) scope = scope?.parent;
    if (scope === undefined) throw new RangeError(`nothing ${levels} levels out`);
    return scope;
  }
}

/** What an item is when it comes from somewhere unknown. */
export function typeOf(item: Item): TypeItem {
  if (item.sort !== "type") throw new RangeError(`a ${item.sort}, where a type is expected`);
  return item.type;
}
