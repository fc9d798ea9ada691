import { closeSync, fstatSync, openSync, rmSync, statSync } from "node:fs";
import { native } from "./native.ts";

/**
 * Locks a file, which is made when it is missing, for as long as this process lives and does not let go: the kernel's lock (flock), so
 * that nobody has to find out whether a holder has died. Of one process's own callers, too, only one has it.
 *
 * @returns lets go of it, and removes the file; undefined when another has it and `wait` is not set
 * @throws an error of the system, as node:fs does
 */
export function lockFile(path: string, options: { readonly wait: boolean }): (() => void) | undefined {
  for (;;) {
    const fd = openSync(path, "a", 0o600);
    try {
      if (!native.lockFile(fd, options)) {
        closeSync(fd);
        return undefined;
      }
      if (isAt(path, fd)) return () => release(path, fd);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // Its holder has let go of it between the two calls: that file is no longer the lock.
    closeSync(fd);
  }
}

/** Removed while it is locked: whoever has it open already will see that it is not at its place any more. */
function release(path: string, fd: number): void {
  try {
    // Its directory may have been cleared, and another's lock be there.
    if (isAt(path, fd)) rmSync(path, { force: true });
  } finally {
    closeSync(fd);
  }
}

function isAt(path: string, fd: number): boolean {
  const own = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === own.ino && there.dev === own.dev;
}
