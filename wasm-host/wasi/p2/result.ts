/**
 * A WIT `result`. jco's glue takes the tagged form back from a host function, so that a refusal costs no exception and no
 * stack trace; a thrown Error is a trap.
 */
export type Result<T, E> = { readonly tag: "ok"; readonly val: T } | { readonly tag: "err"; readonly val: E };

/** The `result<_, E>` of a function that returns nothing. */
export const done: Result<undefined, never> = { tag: "ok", val: undefined };

export function ok<T>(val: T): Result<T, never> {
  return { tag: "ok", val };
}

export function err<E>(val: E): Result<never, E> {
  return { tag: "err", val };
}
