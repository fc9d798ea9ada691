import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { directories } from "../directories.ts";

/** Where containerd keeps the bundles unless its configuration says otherwise. */
const defaultState = "/run/containerd";
const taskPlugin = "io.containerd.runtime.v2.task";

/** A container of containerd's, as its directory shows it. */
export interface Bundle {
  readonly namespace: string;
  readonly id: string;
  readonly directory: string;
  /** Its shim's. */
  readonly socket: string;
}

/** The bundles whose shim is one of this run directory. containerd writes a shim's address into each bundle. */
export function findBundles(): Bundle[] {
  const prefix = join(directories.run, "s/");
  return [...bundleDirectories()].flatMap((directory) => {
    const socket = socketOf(directory);
    if (socket?.startsWith(prefix) !== true) return [];
    return [{ namespace: basename(dirname(directory)), id: basename(directory), directory, socket }];
  });
}

/** Those in containerd's usual place, and those of any other containerd whose root file systems are mounted. */
function bundleDirectories(): Set<string> {
  const tasks = join(defaultState, taskPlugin);
  const usual = namesOf(tasks).flatMap((namespace) =>
    namesOf(join(tasks, namespace)).map((id) => join(tasks, namespace, id)),
  );
  const mounted = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path.includes(`/${taskPlugin}/`) && path.endsWith("/rootfs"))
    .map((path) => dirname(path));
  return new Set([...usual, ...mounted]);
}

/** `address` up to containerd 1.7, `bootstrap.json` since (shim-protocol §1). */
function socketOf(bundle: string): string | undefined {
  const json = join(bundle, "bootstrap.json");
  const address = existsSync(json)
    ? (JSON.parse(readFileSync(json, "utf8")) as { readonly address?: string }).address
    : existsSync(join(bundle, "address"))
      ? readFileSync(join(bundle, "address"), "utf8").trim()
      : undefined;
  return address?.replace(/^unix:\/\//, "");
}

/** What is in a directory; nothing when it is not there. */
export function namesOf(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
