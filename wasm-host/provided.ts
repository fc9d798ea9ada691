import { TandemError } from "../src/errors.ts";
import { isWasi03, wasi03Key } from "../src/image/wasi-version.ts";

/**
 * Every 0.2.x is the same to us; 0.3 is another interface under the same name.
 * @param imports interfaces that a component imports, with versions
 * @param provided those of the host, without
 * @throws TandemError `invalid_argument` naming the first that nobody implements
 */
export function requireProvided(
  imports: readonly string[],
  provided: Readonly<Record<string, unknown>>,
): void {
  const missing = imports.find((name) => !isProvided(name, provided));
  if (missing !== undefined)
    throw new TandemError("invalid_argument", `component imports ${missing}, which nobody grants`);
}

function isProvided(name: string, provided: Readonly<Record<string, unknown>>): boolean {
  if (isWasi03(name)) return wasi03Key(name) in provided;
  const [unversioned = name, version] = name.split("@");
  return unversioned in provided && (version?.startsWith("0.2.") ?? true);
}
