import { readFileSync } from "node:fs";
import { TandemError } from "./errors.ts";

/** What /proc/<pid>/stat says of a process (proc_pid_stat(5)). */
export interface ProcessStat {
  /** Field 3: "R", "S", "D", "T", "Z" and others. */
  readonly state: string;
  /** Field 4. */
  readonly parent: number;
  /** Field 22, in clock ticks since boot: with the pid it names one process for the time until the next boot. */
  readonly startTime: string;
}

/** undefined when there is no such process, or none any more. @throws TandemError when it may not be read */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: it ends just now.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw TandemError.from(error, `process ${pid}`);
  }
  // The name, field 2, may hold blanks and parentheses; the last parenthesis ends it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
}
