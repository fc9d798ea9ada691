const underWay = new Map<string, Promise<unknown>>();

/** Runs work of the same key one after the other, in the order in which it came. */
export async function oneByOne<T>(key: string, work: () => Promise<T>): Promise<T> {
  const before = underWay.get(key) ?? Promise.resolve();
  const result = before.then(work, work);
  underWay.set(key, result);
  try {
    return await result;
  } finally {
    if (underWay.get(key) === result) underWay.delete(key);
  }
}
