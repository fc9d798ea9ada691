/** Those who wait for something to change. */
export class Wakes {
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** The returned function takes it away again. */
  add(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => {
      this.#waiting.delete(wake);
    };
  }

  wake(): void {
    if (this.#waiting.size > 0) for (const wake of [...this.#waiting]) wake();
  }
}
