const [free, held, contended] = [0, 1, 2];

/** Runs `work` while no other thread is in work of the same lock, a cell of shared memory that begins as 0. */
export function locked<T>(cells: Int32Array, lock: number, work: () => T): T {
  if (Atomics.compareExchange(cells, lock, free, held) !== free) {
    while (Atomics.exchange(cells, lock, contended) !== free) Atomics.wait(cells, lock, contended);
  }
  try {
    return work();
  } finally {
    if (Atomics.exchange(cells, lock, free) === contended) Atomics.notify(cells, lock, 1);
  }
}
