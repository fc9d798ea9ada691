import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A wasm container's grant, beside its config.json, for `tandem inspect`. It goes with the bundle. */
const NAME = "tandem.grant";

/** @param grant JSON, with the container's environment in it */
export function writeGrantFile(bundle: string, grant: string): void {
  writeFileSync(join(bundle, NAME), grant, { mode: 0o600 });
}

/** undefined when there is none: not a wasm container. */
export function readGrantFile(bundle: string): string | undefined {
  try {
    return readFileSync(join(bundle, NAME), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
