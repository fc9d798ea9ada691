import { readFileSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { root } from "./root.ts";

/** What the kernel says about a container's process while it runs. */
export interface Inspection {
  readonly pid: number;
  /** By the program the process is: a wasm process is a Node of ours, a Linux container its own program. */
  readonly executor: "wasm" | "linux";
  readonly namespaces: {
    /** Nobody else has them. */
    readonly own: readonly string[];
    /** The same as the pod's sandbox container, and not the machine's. */
    readonly pod: readonly string[];
    /** The same as ours. */
    readonly host: readonly string[];
  };
  /** Path in the hierarchy that counts memory. */
  readonly cgroup: string;
  /** Proportional set size in bytes: pages shared with other processes count in parts. */
  readonly memory: number;
}

const kinds = ["mnt", "pid", "ipc", "uts", "net", "cgroup", "user"] as const;

/** @throws Error (ESRCH, ENOENT) when the process has ended. */
export function inspect(pid: number, sandboxPid: number): Inspection {
  const own: string[] = [];
  const pod: string[] = [];
  const host: string[] = [];
  for (const kind of kinds) {
    const [container, sandbox, machine] = [pid, sandboxPid, process.pid].map((of) =>
      readlinkSync(`/proc/${of}/ns/${kind}`),
    );
    (container === machine ? host : container === sandbox ? pod : own).push(kind);
  }
  const node = realpathSync(join(root, "dist/lib/tandem/node"));
  const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ""); // by a build meanwhile
  return {
    pid,
    executor: program === node ? "wasm" : "linux",
    namespaces: { own, pod, host },
    cgroup: cgroupOf(pid),
    memory: proportionalSetSize(pid),
  };
}

function cgroupOf(pid: number): string {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").split("\n");
  const line = lines.find((each) => /^\d+:([^:]*,)?memory(,[^:]*)?:/.test(each)) ?? lines.at(0) ?? "";
  return line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1);
}

export function proportionalSetSize(pid: number): number {
  const match = /^Pss: +(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}
