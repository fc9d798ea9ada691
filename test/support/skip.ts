import { suite } from "uvu";

/** In place of a suite that this machine cannot run: says so, and why. */
export function skipSuite(name: string, reason: string): void {
  const skipped = suite(name);
  skipped.skip(reason, () => undefined);
  skipped.run();
}
