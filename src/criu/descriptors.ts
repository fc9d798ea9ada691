import { readFileSync, readlinkSync, statSync } from "node:fs";
import { readMountInfo } from "./mountinfo.ts";

/**
 * What 0, 1 and 2 of a process are, by the names that criu has for what comes from outside: pipes by their inode, files that
 * the container's mounts do not show by mount and inode. Anything else is the container's own and stays as readlink(2) has it.
 */
export function describeStdio(pid: number): string[] {
  const mounts = new Set(readMountInfo(pid).map(({ id }) => id));
  return [0, 1, 2].map((fd) => {
    const link = readlinkSync(`/proc/${pid}/fd/${fd}`);
    if (!link.startsWith("/")) return link;
    const mount = Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1]);
    if (mounts.has(mount)) return link;
    const { ino } = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true });
    return `file[${mount.toString(16)}:${ino.toString(16)}]`;
  });
}

/** Files that criu must be told of at the dump; it knows pipes by itself. */
export function externalFiles(stdio: readonly string[]): string[] {
  return [...new Set(stdio.filter((name) => name.startsWith("file[")))];
}

/** At the restore the new 0, 1 and 2 take their places; of equal ones the first. */
export function inheritedStdio(stdio: readonly string[]): { key: string; fd: number }[] {
  return stdio.flatMap((key, fd) =>
    (key.startsWith("pipe:") || key.startsWith("file[")) && stdio.indexOf(key) === fd ? [{ key, fd }] : [],
  );
}
