import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Generation, generations } from "../private-containerd/containerd.ts";
import { root } from "./root.ts";

/** The generations of containerd that unpack wasm layers and artifacts; before 2.0 an image had to be tar layers throughout. */
export const wasmGenerations: readonly Generation[] = ["2.1", "2.4"];

/** What the machine does not give, one line each. Empty: containers can be run. */
export function missingPrivileges(): string[] {
  if (process.getuid?.() !== 0) return ["root"];
  const missing: string[] = [];
  const probe = spawnSync("unshare", ["--net", "--mount", "--pid", "--fork", "true"], { encoding: "utf8" });
  if (probe.status !== 0)
    missing.push(`the right to make namespaces and mounts, CAP_SYS_ADMIN (${probe.stderr.trim()})`);
  if (!hasWritableCgroups())
    missing.push("a cgroup hierarchy mounted read-write, which docker gives with --privileged");
  return missing;
}

/** What scripts/setup should have brought and could not; it has said why. */
export function missingPrograms(generation: Generation): string[] {
  const containerd = `.cache/containerd/${generation}/bin/containerd`;
  const wanted = [
    { file: containerd, what: `containerd ${generation} (scripts/get-containerd ${generation})` },
    { file: "dist/bin/containerd-shim-tandem-v1", what: "dist/ (npm run build)" },
  ];
  return wanted.filter(({ file }) => !existsSync(join(root, file))).map(({ what }) => what);
}

/** `2.1`, or the full version that one of the generations here has. @throws Error naming what can be chosen. */
export function toGeneration(text: string): Generation {
  const known = generations.find((generation) => text === generation || text.startsWith(`${generation}.`));
  if (known !== undefined && wasmGenerations.includes(known)) return known;
  const why =
    known === undefined
      ? `containerd ${text} is not known here`
      : `containerd ${known} cannot unpack wasm images`;
  throw new Error(`${why}: choose --containerd ${wasmGenerations.join(" or ")}`);
}

/** mountinfo's optional fields vary in number; the file system's type stands after the dash (proc(5)). */
function hasWritableCgroups(): boolean {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .some((line) => / - cgroup2? /.test(line) && line.split(" ")[5]?.split(",").includes("rw") === true);
}
