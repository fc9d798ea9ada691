/**
 * Waits for what only an end from outside can cut short: hooks inside a container, for example.
 *
 * @param end called when `signal` fires before the work is over
 * @throws the signal's reason when it has fired; else as `work`
 */
export async function orEnd<T>(signal: AbortSignal, end: () => void, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  signal.addEventListener("abort", end, { once: true });
  try {
    const result = await work();
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener("abort", end);
  }
}
