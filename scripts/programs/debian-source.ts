import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { scriptsDirectory, sourceCache } from "./places.ts";

export interface DebianSource {
  readonly directory: string;
  /** "5.4.4-3+deb12u1" */
  readonly version: string;
}

/** A source package with Debian's patches, fetched once. @throws Error with what the script said, where it cannot be had */
export function debianSource(name: string, suite: string): DebianSource {
  const directory = join(sourceCache, name);
  const version = `${directory}.version`;
  // The version is what the script writes last.
  if (!existsSync(version))
    execFileSync(join(scriptsDirectory, "get-debian-source"), [name, suite, directory], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  return { directory, version: readFileSync(version, "utf8").trim() };
}
