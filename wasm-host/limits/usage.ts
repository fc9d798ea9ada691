import type { Limits } from "../grant.ts";
import { type LimitReached, limitReached } from "./limit-reached.ts";

/** What is counted, each in a cell that the guest's threads share. */
const [OPEN, INSTANCES, OUTPUT, CELLS] = [0, 1, 2, 3];

export interface UsageOptions {
  readonly limits: Limits | undefined;
  /** Another thread's, to count together with it. */
  readonly cells?: SharedArrayBuffer;
}

/**
 * What a guest has of that which its grant limits. There is one guest in a process, and so one of these; without limits it counts
 * nothing. Each function that takes more ends the guest when that is too much, and does not come back then.
 */
export class Usage {
  #limits: Limits = {};
  #cells = new BigInt64Array(newCells({}));
  #end: (reached: LimitReached) => never = fail;
  /** Of several threads only the first one comes back from it. */
  beforeEnd: () => void = () => {};

  /** Begins to count. Until `onReached` says otherwise, a limit that is reached is thrown. */
  begin({ limits = {}, cells = newCells(limits) }: UsageOptions): void {
    this.#limits = limits;
    this.#cells = new BigInt64Array(cells);
    this.#end = fail;
  }

  /** How a guest that has begun is ended. */
  onReached(end: (reached: LimitReached) => never): void {
    this.#end = end;
  }

  /** For the guest's other threads. */
  get cells(): SharedArrayBuffer {
    return this.#cells.buffer;
  }

  /** Before a descriptor is opened. Those of the grant do not count, closed or not. */
  open(): void {
    const { openFiles } = this.#limits;
    if (openFiles === undefined) return;
    if (Atomics.add(this.#cells, OPEN, 1n) < BigInt(openFiles)) return;
    this.closed();
    this.#reach("openFiles", `more than ${openFiles} descriptors`);
  }

  /** A descriptor that was counted is closed, or could not be opened. */
  closed(): void {
    if (this.#limits.openFiles !== undefined) Atomics.sub(this.#cells, OPEN, 1n);
  }

  /** Before an instance of a core module is made; a thread is one. */
  instantiate(): void {
    const { instances } = this.#limits;
    if (instances === undefined) return;
    if (Atomics.add(this.#cells, INSTANCES, 1n) < BigInt(instances)) return;
    this.dropped();
    this.#reachInstances(instances);
  }

  /** An instance is gone. */
  dropped(): void {
    if (this.#limits.instances !== undefined) Atomics.sub(this.#cells, INSTANCES, 1n);
  }

  /** Before a component makes an instance, when it has made so many; how many components there are at once is http's affair. */
  instantiateInComponent(made: number): void {
    const { instances } = this.#limits;
    if (instances !== undefined && made >= instances) this.#reachInstances(instances);
  }

  /** How many bytes may be written yet, for native functions that take of it; undefined without a limit. */
  get outputLeft(): BigInt64Array | undefined {
    return this.#limits.outputBytes === undefined ? undefined : this.#cells.subarray(OUTPUT, OUTPUT + 1);
  }

  /** After a native function may have taken of it. */
  checkOutput(): void {
    if (this.#limits.outputBytes !== undefined && Atomics.load(this.#cells, OUTPUT) < 0n) this.#reachOutput();
  }

  /** Has as much of the bytes written as may be. */
  output(bytes: Uint8Array, write: (bytes: Uint8Array) => void): void {
    if (this.#limits.outputBytes === undefined) {
      write(bytes);
      return;
    }
    const wanted = BigInt(bytes.length);
    const left = Atomics.sub(this.#cells, OUTPUT, wanted);
    write(left < wanted ? bytes.subarray(0, Math.max(Number(left), 0)) : bytes);
    if (left < wanted) this.#reachOutput();
  }

  #reachInstances(most: number): never {
    return this.#reach("instances", `more than ${most} instances of modules`);
  }

  #reachOutput(): never {
    return this.#reach("outputBytes", `more than ${this.#limits.outputBytes} bytes to stdout and stderr`);
  }

  #reach(...reached: Parameters<typeof limitReached>): never {
    this.beforeEnd();
    return this.#end(limitReached(...reached));
  }
}

function fail(reached: LimitReached): never {
  throw reached;
}

function newCells({ outputBytes = 0 }: Limits): SharedArrayBuffer {
  const cells = new SharedArrayBuffer(CELLS * BigInt64Array.BYTES_PER_ELEMENT);
  new BigInt64Array(cells)[OUTPUT] = BigInt(outputBytes);
  return cells;
}

export const usage = new Usage();
