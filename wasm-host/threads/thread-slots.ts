import { locked } from "./shared-lock.ts";

/** No process has more; how many it really gets, the cgroup's pids and memory decide. */
export const MAX_THREADS = 1024;
/** wasi-threads: identifiers are positive, and their upper three bits are the guest's. */
const MAX_IDENTIFIER = 2 ** 29 - 1;

/** A worker without one does not exist; an idle one waits for its next thread. */
const states = { absent: 0, busy: 1, idle: 2 } as const;
/**
 *     cells: [lock, last identifier, whether the process is ending, slots in use or used] slots: [state, identifier, argument]…
 */
const [LOCK, LAST, ENDING, USED, SLOTS] = [0, 1, 2, 3, 4];
const [STATE, IDENTIFIER, ARGUMENT, SIZE] = [0, 1, 2, 4];

export function createThreadSlots(): SharedArrayBuffer {
  return new SharedArrayBuffer((SLOTS + MAX_THREADS * SIZE) * Int32Array.BYTES_PER_ELEMENT);
}

export interface Thread {
  readonly identifier: number;
  /** What its creator hands it: a pointer, most often. */
  readonly argument: number;
}

export interface Place extends Thread {
  readonly slot: number;
  /** There is no worker in the slot yet: the caller has to make one. */
  readonly isNew: boolean;
}

/**
 * Who does what among the workers of a guest, in shared memory: a new thread goes to an idle worker, whoever made it, without any
 * event loop in between, because those of threads that wait in WebAssembly do not turn.
 */
export class ThreadSlots {
  readonly #cells: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#cells = new Int32Array(memory);
  }

  /** A place for a new thread; undefined when there are as many as there may be. An idle worker begins with it at once. */
  take(argument: number): Place | undefined {
    return locked(this.#cells, LOCK, () => {
      const idle = this.#find(states.idle);
      const slot = idle ?? this.#find(states.absent) ?? this.#unused();
      if (slot === undefined) return undefined;
      const identifier = this.#newIdentifier();
      this.#set(slot, IDENTIFIER, identifier);
      this.#set(slot, ARGUMENT, argument);
      this.#set(slot, STATE, states.busy);
      if (idle !== undefined) Atomics.notify(this.#cells, SLOTS + slot * SIZE + STATE);
      return { identifier, argument, slot, isNew: idle === undefined };
    });
  }

  /** Gives back a place for which no worker could be made. */
  giveBack(slot: number): void {
    this.#set(slot, IDENTIFIER, 0);
    this.#set(slot, STATE, states.absent);
  }

  /** The thread that is to run in a slot whose worker has just begun. */
  at(slot: number): Thread {
    return { identifier: this.#get(slot, IDENTIFIER), argument: this.#get(slot, ARGUMENT) };
  }

  /** The slot's thread is over: waits for the next one. */
  next(slot: number): Thread {
    this.#set(slot, IDENTIFIER, 0);
    this.#set(slot, STATE, states.idle);
    while (this.#get(slot, STATE) === states.idle)
      Atomics.wait(this.#cells, SLOTS + slot * SIZE + STATE, states.idle);
    return this.at(slot);
  }

  /** Returns to the first thread that ends the process; any other one stops here. */
  beginEnd(): void {
    if (Atomics.exchange(this.#cells, ENDING, 1) === 0) return;
    for (;;) Atomics.wait(this.#cells, ENDING, 1);
  }

  #find(state: number): number | undefined {
    const used = this.#cells[USED] ?? 0;
    for (let slot = 0; slot < used; slot++) if (this.#get(slot, STATE) === state) return slot;
    return undefined;
  }

  #unused(): number | undefined {
    const used = this.#cells[USED] ?? 0;
    if (used === MAX_THREADS) return undefined;
    this.#cells[USED] = used + 1;
    return used;
  }

  /** One that no living thread has. */
  #newIdentifier(): number {
    const used = this.#cells[USED] ?? 0;
    for (;;) {
      const identifier = ((this.#cells[LAST] ?? 0) % MAX_IDENTIFIER) + 1;
      this.#cells[LAST] = identifier;
      let slot = 0;
      while (slot < used && this.#get(slot, IDENTIFIER) !== identifier) slot++;
      if (slot === used) return identifier;
    }
  }

  #get(slot: number, field: number): number {
    return Atomics.load(this.#cells, SLOTS + slot * SIZE + field);
  }

  #set(slot: number, field: number, value: number): void {
    Atomics.store(this.#cells, SLOTS + slot * SIZE + field, value);
  }
}
