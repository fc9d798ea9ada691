import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { npmCache } from "./places.ts";

/** Directory of a package in this version, installed beside the others once. @throws Error with what npm said */
export function npmPackage(name: string, version: string): string {
  const directory = join(npmCache, "node_modules", name);
  if (versionOf(directory) === version) return directory;
  mkdirSync(npmCache, { recursive: true });
  const manifest = join(npmCache, "package.json");
  // Without one npm would go by that of the tree above.
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n');
  const options = ["--no-fund", "--no-audit", "--ignore-scripts", "--loglevel=error", "--save-exact"];
  execFileSync("npm", ["install", ...options, `${name}@${version}`], {
    cwd: npmCache,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return directory;
}

function versionOf(directory: string): string | undefined {
  const manifest = join(directory, "package.json");
  if (!existsSync(manifest)) return undefined;
  return (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version?: string }).version;
}
