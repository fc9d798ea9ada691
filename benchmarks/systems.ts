import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { type Options, OptionsSchema } from "../src/api/gen/containerd/runc/v1/options_pb.ts";

import type { StartDialect } from "./container/launch.ts";

/** What is measured: a shim and, for runc-v2, the runtime that it calls. */
export interface System {
  readonly name: string;
  /** What was found, with versions, for the report. */
  readonly description: string;
  readonly shim: string;
  readonly dialect: StartDialect;
  readonly workload: "wasm" | "linux";
  readonly cold: boolean;
  runtimeOptions(root: string): Options | undefined;
}

/** A system that cannot be measured here, and why. */
export interface Absent {
  readonly name: string;
  readonly reason: string;
}

export const coldSuffix = "-cold";

/** The systems of this machine. `dist` is an installed Tandem, `cache` where set-up keeps containerd and runc. */
export function findSystems(dist: string, cache: string): { systems: System[]; absent: Absent[] } {
  const generation = ["2.4", "2.1", "1.7", "1.6"].find((name) =>
    existsSync(join(cache, "containerd", name, "bin/containerd-shim-runc-v2")),
  );
  const dialect = generation === "2.4" ? "bootstrap" : "options";
  const found = [...tandemSystems(dist, dialect), ...runcSystems(cache, generation, dialect)];
  return {
    systems: found.filter((entry): entry is System => "shim" in entry),
    absent: found.filter((entry): entry is Absent => "reason" in entry),
  };
}

function tandemSystems(dist: string, dialect: StartDialect): (System | Absent)[] {
  const shim = join(dist, "bin/containerd-shim-tandem-v1");
  const names = ["tandem-wasm", "tandem-linux", `tandem-wasm${coldSuffix}`, `tandem-linux${coldSuffix}`];
  if (!existsSync(shim)) return names.map((name) => ({ name, reason: `${shim} is missing: npm run build` }));
  const version = versionOf(shim, "-v");
  return names.map((name) => ({
    name,
    description: `Tandem ${version}${name.endsWith(coldSuffix) ? ", TANDEM_COLD=1: no zygote" : ""}`,
    shim,
    dialect,
    workload: name.includes("wasm") ? "wasm" : "linux",
    cold: name.endsWith(coldSuffix),
    runtimeOptions: () => undefined,
  }));
}

function runcSystems(
  cache: string,
  generation: string | undefined,
  dialect: StartDialect,
): (System | Absent)[] {
  const runtimes = [
    { name: "runc", places: [join(cache, "runc/bin/runc"), "/usr/sbin/runc", "/usr/bin/runc"] },
    { name: "runc-debian", places: ["/usr/sbin/runc", "/usr/bin/runc"] },
    { name: "crun", places: ["/usr/bin/crun", "/usr/local/bin/crun"] },
  ] as const;
  const seen = new Set<string>();
  return runtimes.flatMap(({ name, places }): (System | Absent)[] => {
    const binary = places.find((place) => existsSync(place));
    if (binary === undefined) return [{ name, reason: `no ${places.join(", ")}` }];
    if (generation === undefined) return [{ name, reason: "no containerd: scripts/get-containerd 1.6" }];
    // Where Go could not build the newest runc, Debian's is the newest.
    if (seen.has(binary)) return [];
    seen.add(binary);
    const directory = join(cache, "containerd", generation, "bin");
    return [
      {
        name,
        description: `containerd-shim-runc-v2 ${versionOf(join(directory, "containerd"), "--version")}, ${name === "crun" ? "crun" : "runc"} ${versionOf(binary, "--version")}`,
        shim: join(directory, "containerd-shim-runc-v2"),
        dialect,
        workload: "linux",
        cold: false,
        runtimeOptions: (root) => create(OptionsSchema, { binaryName: binary, root }),
      },
    ];
  });
}

function versionOf(binary: string, flag: string): string {
  const { stdout } = spawnSync(binary, [flag], { encoding: "utf8" });
  return /\d+\.\d+(\.\d+)?\S*/.exec(stdout ?? "")?.[0] ?? "unknown";
}
