import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Why the machine's systemd makes no scopes on cgroup v2 here; undefined where it does, as in `npm run test:vm`. */
export function whyNoScopes(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  if (!existsSync("/run/systemd/system")) return "systemd does not run here";
  if (!existsSync("/sys/fs/cgroup/cgroup.controllers")) return "cgroup v2 is not what is mounted";
  return undefined;
}

/** Properties of a unit as systemctl prints them. */
export function showUnit(unit: string, ...properties: readonly string[]): Record<string, string> {
  const args = ["show", ...properties.flatMap((name) => ["-p", name]), unit];
  const lines = execFileSync("systemctl", args, { encoding: "utf8" }).trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2)));
}
