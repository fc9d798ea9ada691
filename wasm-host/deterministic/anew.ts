import type { Grant } from "../grant.ts";

/**
 * The grant for another instance: clocks that are made up and a seeded generator begin anew with it, so that what it sees does not
 * depend on what others did before.
 */
export function anew<G extends Pick<Grant, "clocks" | "random">>(grant: G): G {
  const { clocks, random } = grant;
  return {
    ...grant,
    ...(clocks === undefined ? {} : { clocks: { ...clocks } }),
    ...(random === undefined ? {} : { random: { ...random } }),
  };
}
