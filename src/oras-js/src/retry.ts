import { setTimeout as sleep } from "node:timers/promises";
import { isRetryable, OrasError } from "./errors.ts";

export interface RetryOptions {
  /** How often in all, the first time included. */
  readonly attempts: number;
  /** Doubled after each attempt. */
  readonly baseDelayMs: number;
  /** Also bounds what a `Retry-After` can ask for. */
  readonly maxDelayMs: number;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or has been tried often enough; then the last error is thrown.
 *
 * @throws OrasError `aborted` when the signal fires while waiting
 */
export async function withRetry<T>(
  attempt: () => Promise<T>,
  options: RetryOptions,
  signal?: AbortSignal,
): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isRetryable(error) || made >= options.attempts) throw error;
      await pause(delayBefore(made, error, options), signal);
    }
  }
}

/** How long to wait after an attempt. With jitter, so that many clients that failed together do not come back together. */
export function delayBefore(made: number, error: unknown, options: RetryOptions): number {
  const asked = error instanceof OrasError ? error.retryAfterMs : undefined;
  const backOff = options.baseDelayMs * 2 ** (made - 1);
  return Math.min(options.maxDelayMs, asked ?? backOff * (0.5 + Math.random() / 2));
}

/** Waits, unless the signal fires: then throws `aborted`. */
export async function pause(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(delayMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new OrasError("aborted", "aborted while waiting for the next attempt", { cause: error });
  }
}
