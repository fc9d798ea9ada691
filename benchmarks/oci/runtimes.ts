import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Absent } from "../systems.ts";

/** An OCI runtime, as a caller of its command line sees it. */
export interface Runtime {
  readonly name: string;
  /** What was found, with its version, for the report. */
  readonly description: string;
  readonly binary: string;
  /** All of the environment that it is called with. */
  readonly environment: readonly string[];
}

/** Names in the order in which they take turns. The ratios are to crun. */
export const runtimeNames = ["tandem", "crun", "crun-debian", "runc", "runc-debian", "youki"] as const;

export interface Places {
  /** An installed Tandem, as `npm run build` leaves it. */
  readonly dist: string;
  /** Where set-up keeps what it builds. */
  readonly cache: string;
  /** Where this run's servers have their sockets. Short, because the path of a socket is. */
  readonly run: string;
  readonly state: string;
  /** Executables by the name of their runtime, before all others. */
  readonly given: ReadonlyMap<string, string>;
}

/** The runtimes of this machine: the newest of each kind that is here, and Debian's. */
export function findRuntimes(places: Places): { runtimes: Runtime[]; absent: Absent[] } {
  const runtimes: Runtime[] = [];
  const absent: Absent[] = [];
  for (const name of runtimeNames) {
    const candidates = candidatesOf(name, places);
    const binary = candidates.find((path) => existsSync(path));
    if (binary === undefined) absent.push({ name, reason: `no ${candidates.join(", ")}` });
    // Where nothing newer was built, Debian's is the newest.
    else if (!runtimes.some((runtime) => runtime.binary === binary)) {
      const environment = environmentOf(name, places);
      runtimes.push({ name, binary, description: describe(binary, environment), environment });
    }
  }
  return { runtimes, absent };
}

function candidatesOf(name: (typeof runtimeNames)[number], { dist, cache, given }: Places): string[] {
  const chosen = given.get(name);
  if (chosen !== undefined) return [chosen];
  switch (name) {
    case "tandem":
      return [join(dist, "bin/tandem-oci")];
    case "crun-debian":
      return ["/usr/bin/crun"];
    case "runc-debian":
      return ["/usr/sbin/runc"];
    default:
      return [
        join(cache, name, "bin", name),
        ...["/usr/local/bin", "/usr/bin", "/usr/sbin"].map((directory) => join(directory, name)),
      ];
  }
}

function environmentOf(name: string, { run, state }: Places): string[] {
  const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  return name === "tandem" ? [path, `TANDEM_RUN_DIR=${run}`, `TANDEM_STATE_DIR=${state}`] : [path];
}

function describe(binary: string, environment: readonly string[]): string {
  const env = Object.fromEntries(environment.map((entry) => entry.split("=", 2)));
  const { stdout } = spawnSync(binary, ["--version"], { encoding: "utf8", env });
  return (stdout ?? "").split("\n")[0] || binary;
}
