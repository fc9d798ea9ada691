import { TandemError } from "../../src/errors.ts";
import { type LimitName, limitNames } from "./limit-names.ts";

/** A guest wants more than its grant has. Its status is the limit's own (exit.ts). */
export class LimitReached extends TandemError {
  readonly limit: LimitName;

  /** @param message of one that was thrown in another process; else `limitReached` words it */
  constructor(limit: LimitName, message: string) {
    super("resource_exhausted", message);
    this.limit = limit;
  }
}

/** @param what was too much, and how much there may be */
export function limitReached(limit: LimitName, what: string): LimitReached {
  return new LimitReached(limit, `limit reached: ${limitNames[limit]}: ${what}`);
}
