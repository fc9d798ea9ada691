/** The most turns that `settled` waits for a guest that goes on writing after its end. */
const mostTurns = 1000;

/**
 * What flows out of a guest through the host. A guest that ends, however it does, has handed over bytes that the host has not
 * written yet: they must be before the process is gone.
 */
export class Outflow {
  #moved = 0;

  /** Bytes have left. */
  note(): void {
    this.#moved++;
  }

  /** Resolves when a turn of the event loop has gone by in which nothing left. */
  async settled(): Promise<void> {
    for (let turn = 0; turn < mostTurns; turn++) {
      const before = this.#moved;
      await new Promise((resolve) => setImmediate(resolve));
      if (before === this.#moved) return;
    }
  }
}
