import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { directories } from "./directories.ts";

/** Names what is installed now (scripts/build.ts); "" in a checkout, which has no name. */
export function buildId(): string {
  const path = join(directories.lib, "build-id");
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}
