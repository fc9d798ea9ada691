import { appendFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TandemError } from "../errors.ts";
import { processStat } from "../process-stat.ts";

/**
 * What the launcher's `delete` needs when the shim is dead: it has nothing but the bundle. One line a fact, `key value`.
 * Written before the first process exists, removed once everything it names is gone (native/launcher/delete.c reads it).
 */
export interface StateFile {
  readonly cgroups: readonly string[];
  readonly mounts: readonly string[];
  readonly socket: string;
  /** Poststop hooks, to be run when the shim cannot. */
  readonly poststop: readonly PoststopHook[];
}

export interface PoststopHook {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Seconds; 0 means none. */
  readonly timeout: number;
}

const NAME = "tandem.state";

export function writeStateFile(bundle: string, state: StateFile): void {
  // A line break would begin a fact of somebody else's making, and `delete` acts on them as root.
  const broken = [state.socket, ...state.cgroups, ...state.mounts].find((path) => /[\n\0]/.test(path));
  if (broken !== undefined)
    throw new TandemError("invalid_argument", `path ${JSON.stringify(broken)}: has a line break`);
  const lines = [`socket ${state.socket}`];
  for (const directory of state.cgroups) lines.push(`cgroup ${directory}`);
  for (const target of state.mounts) lines.push(`mount ${target}`);
  for (const hook of state.poststop) lines.push(`poststop ${encodeHook(hook)}`);
  writeFileSync(join(bundle, NAME), `${lines.join("\n")}\n`, { mode: 0o600 });
}

/** Adds the container's first process, for `delete` to kill and to name in its answer; one that is gone already needs neither. */
export function recordPid(bundle: string, pid: number): void {
  const started = processStat(pid)?.startTime;
  if (started !== undefined) appendFileSync(join(bundle, NAME), `pid ${pid} ${started}\n`);
}

export function removeStateFile(bundle: string): void {
  rmSync(join(bundle, NAME), { force: true });
}

/** Hex keeps the line a line: timeout, then path, count of args, args, env, each ended by NUL. */
function encodeHook(hook: PoststopHook): string {
  const fields = [String(hook.timeout), hook.path, String(hook.args.length), ...hook.args, ...hook.env];
  return Buffer.from(fields.map((field) => `${field}\0`).join("")).toString("hex");
}
