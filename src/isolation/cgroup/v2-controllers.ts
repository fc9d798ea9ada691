import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { native } from "../../native.ts";

/**
 * Makes every controller that the machine has available in `directory`: each ancestor must pass them on in
 * cgroup.subtree_control, from the mount down (cgroup-v2.rst, "Enabling and Disabling").
 *
 * A controller that an ancestor cannot pass on, say because it holds processes itself (EBUSY), stays off without an error:
 * whether that matters is known when a limit needs it, and then that limit's file is missing and its error names it.
 */
export function enableControllers(mountPoint: string, directory: string): void {
  const wanted = controllersOf(mountPoint);
  // Usual case: an earlier container of the same parent has done it. One read says so.
  const present = controllersOf(directory);
  if (wanted.every((controller) => present.includes(controller))) return;
  for (const ancestor of ancestors(mountPoint, directory)) {
    const control = `${ancestor}/cgroup.subtree_control`;
    try {
      native.writeFiles([control, wanted.map((controller) => `+${controller}`).join(" ")]);
    } catch {
      // All or nothing: what is left is to try them one at a time.
      for (const controller of wanted) tryEnable(control, controller);
    }
  }
}

function tryEnable(control: string, controller: string): void {
  try {
    native.writeFiles([control, `+${controller}`]);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || !["EBUSY", "ENOENT", "EINVAL", "EOPNOTSUPP", "EACCES", "EPERM"].includes(code))
      throw error;
  }
}

function controllersOf(directory: string): string[] {
  return readFileSync(`${directory}/cgroup.controllers`, "utf8").split(/\s+/).filter(Boolean);
}

function ancestors(mountPoint: string, directory: string): string[] {
  const found: string[] = [];
  for (let path = dirname(directory); path.startsWith(mountPoint); path = dirname(path)) found.unshift(path);
  return found;
}
