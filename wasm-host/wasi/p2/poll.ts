import type { Source, Waiter, Waits } from "./waiting.ts";

/** The resource `pollable` of wasi:io/poll 0.2. */
export class Pollable {
  readonly #source: Source;
  readonly #waiter: Waiter;
  readonly #waits: Waits = new Set();

  constructor(source: Source, waiter: Waiter) {
    this.#source = source;
    this.#waiter = waiter;
  }

  ready(): boolean {
    return this.#source.ready();
  }

  block(): undefined | Promise<void> {
    const waiting = this.#waiter.poll([this.#source], [this.#waits]);
    return waiting instanceof Promise ? waiting.then(() => undefined) : undefined;
  }

  /** An instance that is given up may be waiting for what comes in a hundred years: nothing may keep it until then. */
  [Symbol.dispose](): void {
    for (const end of this.#waits) end();
    this.#waits.clear();
  }

  /** Indexes of those that are ready; waits for the first. An empty list traps, as the specification demands. */
  static poll(pollables: readonly Pollable[]): Uint32Array | Promise<Uint32Array> {
    const [first] = pollables;
    if (first === undefined) throw new Error("wasi:io/poll#poll: the list is empty");
    const ready = first.#waiter.poll(
      pollables.map((pollable) => pollable.#source),
      pollables.map((pollable) => pollable.#waits),
    );
    return ready instanceof Promise ? ready.then(toList) : toList(ready);
  }
}

function toList(indexes: readonly number[]): Uint32Array {
  return Uint32Array.from(indexes);
}
