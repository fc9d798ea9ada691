import { readdirSync, readFileSync } from "node:fs";

/** Every pid in a cgroup and in those below it, as this pid namespace numbers them. An absent directory has none. */
export function pidsIn(directory: string): number[] {
  const pids: number[] = [];
  for (const path of subtree(directory)) {
    for (const line of readIfThere(`${path}/cgroup.procs`).split("\n"))
      if (line !== "") pids.push(Number(line));
  }
  return pids;
}

/** A cgroup and those below it, parents first. */
export function subtree(directory: string): string[] {
  const found = [directory];
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) found.push(...subtree(`${directory}/${entry.name}`));
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return found;
}

/** A cgroup may be removed while it is read: ENOENT at open, ENODEV at read. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isGone(error)) return "";
    throw error;
  }
}

export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ENODEV";
}

/** Sends a signal to each; one that has gone meanwhile is no error. */
export function signalAll(pids: readonly number[], signal: number): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Blocks this thread: states of the freezer are reached in microseconds, and no event tells of them in v1. */
export function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
