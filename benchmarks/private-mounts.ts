import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { native } from "../src/native.ts";

/**
 * Runs this program once more in a mount namespace of its own, in which nothing that it or a shim mounts is seen by the machine and
 * all of which is gone with its last process. Returns the exit status.
 */
export async function runInPrivateMounts(program: string, parameters: readonly string[]): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const node = [process.execPath, ...process.execArgv, program, ...parameters];
  const child = spawn("unshare", ["--mount", "--propagation", "private", ...node], { stdio: "inherit" });
  // The terminal sends an interrupt to both: this one stays to clear up after the other.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  child.on("error", reject);
  child.on("close", (status) => resolve(status ?? 1));
  return await promise;
}

/** Makes the mount namespace that we are in fit for every system. */
export function arrangeMounts(): void {
  // containerd-shim-runc-v2 has its sockets in /run/containerd whatever it is told; a containerd of this machine has its own there.
  native.mount("tmpfs", "/run", "tmpfs", 0, "mode=755");
  // crun 1.8 refuses a machine that has cgroup v1 and v2 both. All systems see the same: v1.
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  if (!mounts.some(([, , type]) => type === "cgroup")) return;
  for (const [, target = "", type] of mounts) if (type === "cgroup2") native.unmount(target, 0);
}
