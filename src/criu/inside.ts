import { closeSync, lstatSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";

const MOST_LINKS = 40;

/**
 * Where a path of the container is below its root, with every link in it followed as the container would. For a root that
 * nobody changes meanwhile: its container does not run yet. What is missing is taken as it is written.
 *
 * @returns the path as the container has it, without links
 * @throws TandemError invalid_argument for links in a circle
 */
export function resolveInside(root: string, path: string): string {
  const parts = path.split("/");
  let resolved: string[] = [];
  for (let links = 0; parts.length > 0; ) {
    const part = parts.shift() ?? "";
    if (part === "" || part === ".") continue;
    if (part === "..") {
      resolved.pop();
      continue;
    }
    const link = linkAt(join(root, ...resolved, part));
    if (link === undefined) {
      resolved.push(part);
      continue;
    }
    if (++links > MOST_LINKS) throw new TandemError("invalid_argument", `${path}: too many links`);
    if (link.startsWith("/")) resolved = [];
    parts.unshift(...link.split("/"));
  }
  return `/${resolved.join("/")}`;
}

function linkAt(path: string): string | undefined {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}

/** Makes the directory or file on which something is to be mounted; what is there stays. @throws TandemError */
export function makeMountPoint(root: string, mountPoint: string, source: string): void {
  if (native.modeInRoot(root, mountPoint) !== undefined) return;
  const isFile = statSync(source, { throwIfNoEntry: false })?.isDirectory() === false;
  try {
    const directory = native.makeDirectoryInRoot(root, isFile ? dirname(mountPoint) : mountPoint);
    try {
      if (isFile) writeFileSync(`/proc/self/fd/${directory}/${basename(mountPoint)}`, "", { flag: "wx" });
    } finally {
      closeSync(directory);
    }
  } catch (error) {
    throw TandemError.from(error, `mount point ${mountPoint}`);
  }
}
