/** Runs `work` over items, at most `limit` at once. The first failure is thrown after what is under way has ended. */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failed: { readonly error: unknown } | undefined;
  async function lane(): Promise<void> {
    for (const item of queue) {
      if (failed !== undefined) return;
      try {
        await work(item);
      } catch (error) {
        failed ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.max(1, limit) }, lane));
  if (failed !== undefined) throw failed.error;
}
