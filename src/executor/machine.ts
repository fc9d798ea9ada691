import { existsSync, readFileSync } from "node:fs";
import type { Machine } from "../isolation/process-steps.ts";

let cached: Machine | undefined;

/** What this machine and this runtime's own rights allow; read once, while the zygote warms up. */
export function readMachine(): Machine {
  cached ??= {
    apparmor: readOptional("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
    selinux: existsSync("/sys/fs/selinux/enforce"),
    capabilities: BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`),
  };
  return cached;
}

function readOptional(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}
