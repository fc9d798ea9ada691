import { setTimeout as sleep } from "node:timers/promises";
import { patience } from "./patience.ts";

/**
 * Waits until a condition gives something true, and returns it. uvu has no timeouts: every wait of a test ends here.
 *
 * @throws Error naming what was waited for; its cause is the last error of the condition.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  milliseconds: number,
  what: string,
): Promise<Exclude<T, false | undefined | null>> {
  const deadline = Date.now() + milliseconds * patience;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, false | undefined | null>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) throw new Error(`after ${milliseconds} ms still not: ${what}`, { cause });
    await sleep(20);
  }
}
