import { TandemError } from "../../src/errors.ts";
import { native } from "../../src/native.ts";
import type { Grant } from "../grant.ts";
import { usage } from "../limits/usage.ts";
import { type Descriptor, type Descriptors, DescriptorTable } from "../wasi/p1/descriptor.ts";
import { locked } from "./shared-lock.ts";

/**
 * The table of the descriptors of a guest with threads, in shared memory. Numbers of the guest lead to objects; an object is counted
 * by its number and by each call that is using it, and the kernel's descriptor is closed by whoever is last. So a descriptor
 * that one thread closes stays what it was for a call of another that is under way, and its number in the kernel cannot come
 * to mean another file between the look at the rights and the system call.
 *
 *     cells: [lock, lowest number that may be free, object that may be free] numbers… objects…
 */
export class SharedTable implements Descriptors {
  readonly #cells: Int32Array;
  readonly #preopens: readonly Uint8Array[];
  /** Objects that the call under way uses. */
  readonly #inUse: number[] = [];
  readonly #seen: (SharedDescriptor | undefined)[] = [];

  /** @param memory of `createSharedTable`, with the same grant */
  constructor(memory: SharedArrayBuffer, grant: Grant) {
    this.#cells = new Int32Array(memory);
    this.#preopens = grant.preopens.map(({ guestPath }) => Buffer.from(guestPath));
  }

  get(number: number): Descriptor | undefined {
    const at = number >>> 0;
    if (at >= CAPACITY) return undefined;
    for (;;) {
      const object = Atomics.load(this.#cells, NUMBERS + at);
      if (object === NONE) return undefined;
      if (!this.#use(object)) continue;
      this.#inUse.push(object);
      // Between the two looks the number may have been given to something else.
      if (Atomics.load(this.#cells, NUMBERS + at) === object) return this.#describe(object);
    }
  }

  /** To be called when the call that looked descriptors up is over. */
  release(): void {
    for (let object = this.#inUse.pop(); object !== undefined; object = this.#inUse.pop()) this.#drop(object);
  }

  add(descriptor: Descriptor): number {
    return this.#locked(() => {
      const at = this.#find(LOWEST_NUMBER, (index) => this.#cell(NUMBERS + index) === NONE);
      Atomics.store(this.#cells, NUMBERS + at, this.#create(descriptor));
      this.#cells[LOWEST_NUMBER] = at + 1;
      return at;
    });
  }

  close(number: number): number {
    const at = number >>> 0;
    const object = this.#locked(() => {
      this.#cells[LOWEST_NUMBER] = Math.min(at, this.#cell(LOWEST_NUMBER));
      return Atomics.exchange(this.#cells, NUMBERS + at, NONE);
    });
    return object === NONE ? BADF : this.#give(object);
  }

  renumber(from: number, to: number): number {
    if (from === to) return 0;
    const [source, target] = [from >>> 0, to >>> 0];
    const replaced = this.#locked(() => {
      const object = this.#cell(NUMBERS + source);
      const old = this.#cell(NUMBERS + target);
      if (object === NONE || old === NONE) return NONE;
      Atomics.store(this.#cells, NUMBERS + target, object);
      Atomics.store(this.#cells, NUMBERS + source, NONE);
      this.#cells[LOWEST_NUMBER] = Math.min(source, this.#cell(LOWEST_NUMBER));
      return old;
    });
    return replaced === NONE ? BADF : this.#give(replaced);
  }

  /** Takes back what a number counted and what this call used, so that the errno of close(2) is this call's wherever it can be. */
  #give(object: number): number {
    for (let at = this.#inUse.indexOf(object); at >= 0; at = this.#inUse.indexOf(object)) {
      this.#inUse.splice(at, 1);
      this.#drop(object);
    }
    return this.#drop(object);
  }

  /** Counts a use, unless the object is gone already. */
  #use(object: number): boolean {
    for (;;) {
      const uses = Atomics.load(this.#cells, object + USES);
      if (uses === 0) return false;
      if (Atomics.compareExchange(this.#cells, object + USES, uses, uses + 1) === uses) return true;
    }
  }

  #drop(object: number): number {
    const fd = this.#cell(object + FD);
    const counted = this.#cell(object + COUNTED) !== 0;
    // Whoever is last closes; from then on the object may be another descriptor.
    if (Atomics.sub(this.#cells, object + USES, 1) !== 1) return 0;
    if (counted) usage.closed();
    return native.wasiClose(fd);
  }

  #create(descriptor: Descriptor): number {
    const index = this.#find(FREE_OBJECT, (one) => this.#cell(OBJECTS + one * SIZE + USES) === 0);
    this.#cells[FREE_OBJECT] = index + 1;
    const object = OBJECTS + index * SIZE;
    const { fd, type, base, inheriting, flags, readonly, truncates, preopen, counted } = descriptor;
    this.#cells.set([fd, type, base, inheriting, flags, Number(readonly), Number(truncates)], object + FD);
    this.#cells[object + PREOPEN] =
      preopen === undefined ? -1 : this.#preopens.findIndex((name) => Buffer.compare(name, preopen) === 0);
    this.#cells[object + COUNTED] = Number(counted);
    Atomics.store(this.#cells, object + USES, 1);
    return object;
  }

  /** The first that is free, from where one may be on; round once. */
  #find(hint: number, isFree: (index: number) => boolean): number {
    const start = this.#cell(hint);
    for (let index = start; index < CAPACITY; index++) if (isFree(index)) return index;
    for (let index = 0; index < start && index < CAPACITY; index++) if (isFree(index)) return index;
    throw new TandemError("resource_exhausted", `more than ${CAPACITY} descriptors`);
  }

  #describe(object: number): SharedDescriptor {
    const index = (object - OBJECTS) / SIZE;
    const known = this.#seen[index];
    if (known !== undefined) return known;
    const made = new SharedDescriptor(this.#cells, object, this.#preopens);
    this.#seen[index] = made;
    return made;
  }

  #cell(index: number): number {
    return Atomics.load(this.#cells, index);
  }

  #locked<T>(work: () => T): T {
    return locked(this.#cells, LOCK, work);
  }
}

/** The kernel never gives a process more (fs.nr_open) unless it was told to; memory is used for what is open only. */
const CAPACITY = 1 << 20;
const [LOCK, LOWEST_NUMBER, FREE_OBJECT, NUMBERS] = [0, 1, 2, 8];
const OBJECTS = NUMBERS + CAPACITY;
/** Cells of an object. */
const [USES, FD, TYPE, BASE, INHERITING, FLAGS, READONLY, TRUNCATES, PREOPEN, COUNTED, SIZE] = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
];
/** No object: those begin behind the numbers. */
const NONE = 0;
const BADF = 8;

/** What the threads of a guest share, with the grant's descriptors in it. */
export function createSharedTable(grant: Grant): SharedArrayBuffer {
  const memory = new SharedArrayBuffer((OBJECTS + CAPACITY * SIZE) * Int32Array.BYTES_PER_ELEMENT);
  const table = new SharedTable(memory, grant);
  for (const descriptor of new DescriptorTable(grant).all()) table.add(descriptor);
  return memory;
}

/** An object of the table as the host's functions see it. Rights can only shrink, whichever thread does it. */
class SharedDescriptor implements Descriptor {
  readonly #cells: Int32Array;
  readonly #at: number;
  readonly #preopens: readonly Uint8Array[];

  constructor(cells: Int32Array, at: number, preopens: readonly Uint8Array[]) {
    this.#cells = cells;
    this.#at = at;
    this.#preopens = preopens;
  }

  get fd(): number {
    return this.#get(FD);
  }
  get type(): number {
    return this.#get(TYPE);
  }
  get base(): number {
    return this.#get(BASE);
  }
  set base(rights: number) {
    Atomics.and(this.#cells, this.#at + BASE, rights);
  }
  get inheriting(): number {
    return this.#get(INHERITING);
  }
  set inheriting(rights: number) {
    Atomics.and(this.#cells, this.#at + INHERITING, rights);
  }
  get flags(): number {
    return this.#get(FLAGS);
  }
  set flags(flags: number) {
    Atomics.store(this.#cells, this.#at + FLAGS, flags);
  }
  get readonly(): boolean {
    return this.#get(READONLY) !== 0;
  }
  get truncates(): boolean {
    return this.#get(TRUNCATES) !== 0;
  }
  set truncates(may: boolean) {
    Atomics.and(this.#cells, this.#at + TRUNCATES, Number(may));
  }
  get counted(): boolean {
    return this.#get(COUNTED) !== 0;
  }
  get preopen(): Uint8Array | undefined {
    return this.#preopens[this.#get(PREOPEN)];
  }

  #get(field: number): number {
    return Atomics.load(this.#cells, this.#at + field);
  }
}
