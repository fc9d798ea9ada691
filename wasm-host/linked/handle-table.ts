/** The guest has broken a rule of the component model: what it asked for cannot be, and it does not go on. */
export class Trap extends Error {
  override readonly name = "Trap";
}

/** The first index: 0 is never a handle. */
const first = 1;

/**
 * The handles of one component instance (CanonicalABI.md, Table State): indexes that its core modules know resources of the host by.
 * Each is the only owner of its resource. An index that was given back is given out again.
 */
export class HandleTable {
  readonly #objects: (object | undefined)[] = [undefined];
  /** Places in the plan's `resources`. */
  readonly #types: number[] = [0];
  readonly #free: number[] = [];

  /** How many handles there are. */
  get size(): number {
    return this.#objects.length - first - this.#free.length;
  }

  add(type: number, object: object): number {
    const index = this.#free.pop() ?? this.#objects.length;
    this.#objects[index] = object;
    this.#types[index] = type;
    return index;
  }

  /** @throws Trap when it is no handle of that type */
  get(type: number, index: number): object {
    const object = this.#objects[index];
    if (object === undefined) throw new Trap(`unknown handle ${index}`);
    if (this.#types[index] !== type) throw new Trap(`handle ${index} is of another type`);
    return object;
  }

  /** @throws Trap as `get` does */
  remove(type: number, index: number): object {
    const object = this.get(type, index);
    this.#objects[index] = undefined;
    this.#free.push(index);
    return object;
  }

  /** Drops every resource, and begins anew. */
  clear(): void {
    if (this.size > 0) disposeAll(this.#objects);
    this.#objects.length = first;
    this.#types.length = first;
    this.#free.length = 0;
  }
}

/** The youngest first; a parent that has been given the handle of an older child goes in the second round. */
function disposeAll(objects: readonly (object | undefined)[]): void {
  const parents: object[] = [];
  for (const object of objects.toReversed()) {
    if (object === undefined) continue;
    try {
      dispose(object);
    } catch {
      parents.push(object);
    }
  }
  for (const parent of parents) dispose(parent);
}

/** What a resource does when its owner drops it. */
export function dispose(object: object): void {
  (object as Partial<Disposable>)[Symbol.dispose]?.();
}
