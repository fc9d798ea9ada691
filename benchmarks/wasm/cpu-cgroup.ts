import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A cgroup that counts the processor time of what is in it. */
export interface CpuCgroup {
  /** Into which a process writes "0" to be in it. */
  readonly file: string;
  usedMs(): number;
}

let count = 0;

/** A new one below the run's own cgroup of that name, with which it goes: right after a process has ended it may still be busy. */
export function openCpuCgroup(run: string): CpuCgroup {
  const v1 = existsSync("/sys/fs/cgroup/cpuacct/cpuacct.usage");
  const directory = join(v1 ? "/sys/fs/cgroup/cpuacct" : "/sys/fs/cgroup", run, `program-${++count}`);
  mkdirSync(directory, { recursive: true });
  return {
    file: join(directory, v1 ? "tasks" : "cgroup.procs"),
    usedMs: () => {
      if (v1) return Number(readFileSync(join(directory, "cpuacct.usage"), "utf8")) / 1e6;
      const stat = readFileSync(join(directory, "cpu.stat"), "utf8");
      return Number(/^usage_usec (\d+)$/m.exec(stat)?.[1]) / 1e3;
    },
  };
}
