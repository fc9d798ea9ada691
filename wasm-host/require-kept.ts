import { TandemError } from "../src/errors.ts";
import type { GrantPlan } from "./config.ts";

/** Parts of a grant that no function of the host looks at. */
const unkept = ["clocks", "random", "limits"] as const satisfies readonly (keyof GrantPlan)[];

/**
 * What was granted with a restriction must not be given without it.
 * @throws TandemError unimplemented, naming the part
 */
export function requireKept(grant: GrantPlan): void {
  const part = unkept.find((name) => grant[name] !== undefined);
  if (part === undefined) return;
  const value = grant[part];
  throw new TandemError(
    "unimplemented",
    `grant: ${part} ${JSON.stringify(value)} cannot be kept by this host`,
  );
}
