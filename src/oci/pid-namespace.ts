import { readdirSync, readlinkSync } from "node:fs";

/** Every process in the pid namespace of `init`, as far as this user may look at them. Without `init` there is none. */
export function pidsInNamespaceOf(init: number): number[] {
  const namespace = namespaceOf(init);
  if (namespace === undefined) return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => namespaceOf(pid) === namespace);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    // It has ended, or is another user's.
    return undefined;
  }
}
