import { readFileSync } from "node:fs";
import { availableParallelism, loadavg, release, totalmem } from "node:os";

/** What the figures depend on besides the systems. */
export function describeMachine(): Record<string, string> {
  const cpu = /^model name\s*: (.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? process.arch;
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  const [v1, v2] = [/ cgroup /.test(mounts), / cgroup2 /.test(mounts)];
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    machine: `${availableParallelism()} × ${cpu}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, Linux ${release()}`,
    cgroups: v1 && v2 ? "hybrid" : v1 ? "v1" : "v2",
    "load before": loadavg()
      .map((load) => load.toFixed(2))
      .join(" "),
    driver: `Node ${process.version}`,
  };
}
