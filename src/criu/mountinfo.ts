import { readFileSync } from "node:fs";

/** A line of /proc/<pid>/mountinfo (proc_pid_mountinfo(5)). */
export interface MountInfo {
  readonly id: number;
  /** major:minor of the file system. */
  readonly device: string;
  /** What of the file system is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
}

export function readMountInfo(pid: number | "self"): MountInfo[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}

export function parseMountInfo(text: string): MountInfo[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [id = "", , device = "", root = "", mountPoint = ""] = before.split(" ");
      return {
        id: Number(id),
        device,
        root: fromOctal(root),
        mountPoint: fromOctal(mountPoint),
        type: after.split(" ")[0] ?? "",
      };
    });
}

/** Blanks and the like are written as octal numbers: "\040". */
function fromOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
