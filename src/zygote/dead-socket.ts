import { closeSync, lstatSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { directories } from "../directories.ts";
import { native } from "../native.ts";

/**
 * Removes the socket of a pod whose launcher died before it was answered. By the word of somebody unknown: only from the
 * directory of the pods' sockets, and only when nobody listens there.
 */
export function removeDeadSocket(path: string): void {
  if (dirname(path) !== join(directories.run, "s")) return;
  try {
    // connect(2) refuses a regular file in the same words as a dead socket.
    if (lstatSync(path).isSocket()) closeSync(native.connectStream(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") rmSync(path, { force: true });
  }
}
