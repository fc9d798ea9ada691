import { existsSync, readFileSync, statSync } from "node:fs";
import { type NamespaceType, namespaceFiles } from "../isolation/namespaces.ts";
import type { Machine } from "../isolation/process-steps.ts";

let cached: Machine | undefined;

/** What this machine and this runtime's own rights allow; read once, while the zygote warms up. */
export function readMachine(): Machine {
  cached ??= {
    apparmor: readOptional("/sys/module/apparmor/parameters/enabled").startsWith("Y"),
    selinux: existsSync("/sys/fs/selinux/enforce"),
    capabilities: BigInt(
      `0x${/^CapBnd:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`,
    ),
  };
  return cached;
}

function readOptional(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

/** Whether a path leads to the namespace that this process is in. */
export function isOwnNamespace(type: NamespaceType, path: string): boolean {
  const own = statSync(`/proc/self/ns/${namespaceFiles[type]}`);
  try {
    const wanted = statSync(path);
    return wanted.ino === own.ino && wanted.dev === own.dev;
  } catch {
    // Whoever joins it reports what is wrong with it.
    return false;
  }
}
