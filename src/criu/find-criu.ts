import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../errors.ts";

/** Where Debian and others put it; callers often have no PATH, or one without sbin. */
const usualDirectories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * @param given by the user; a name without a slash is looked for
 * @throws TandemError unimplemented when there is none
 */
export function findCriu(given: string | undefined, path: string | undefined): string {
  const name = given === undefined || given === "" ? "criu" : given;
  const candidates = name.includes("/")
    ? [name]
    : [...(path ?? "").split(":").filter((directory) => directory.startsWith("/")), ...usualDirectories].map(
        (directory) => join(directory, name),
      );
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new TandemError("unimplemented", `${name}: not found; checkpoint and restore need criu`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: the same to whoever looks for one.
    return false;
  }
}
