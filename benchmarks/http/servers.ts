import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { HttpProgram } from "./components.ts";

/** How many requests an instance serves. */
export interface Mode {
  readonly name: "fresh" | "reused";
  readonly requests: number;
}

export const modes: readonly Mode[] = [
  { name: "fresh", requests: 1 },
  { name: "reused", requests: 1000 },
];

/** Who serves components. */
export interface HttpSystem {
  readonly name: string;
  readonly description: string;
  /** The command that serves one at a port of the system's choice, and says where in a line on stderr. */
  command(program: HttpProgram, mode: Mode): readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
}

export interface Places {
  readonly dist: string;
  readonly directory: string;
  readonly runDirectory: string;
  readonly wasmtime: string;
}

export interface Absent {
  readonly name: string;
  readonly reason: string;
}

/** Both with the same words: Tandem has wasmtime's names. */
export function findHttpSystems({ dist, directory, runDirectory, wasmtime }: Places): {
  readonly systems: HttpSystem[];
  readonly absent: Absent[];
} {
  const serve = (mode: Mode): string[] => [
    "serve",
    ...["--addr", "127.0.0.1:0", "--max-instance-reuse-count", String(mode.requests)],
  ];
  const tandem: HttpSystem = {
    name: "tandem",
    description: "tandem serve",
    command: ({ path }, mode) => [join(dist, "bin/tandem"), ...serve(mode), path],
    environment: { TANDEM_RUN_DIR: runDirectory, TANDEM_STATE_DIR: join(directory, "state") },
  };
  if (!existsSync(wasmtime))
    return {
      systems: [tandem],
      absent: [{ name: "wasmtime", reason: `no ${wasmtime}: see --wasmtime` }],
    };
  const version = spawnSync(wasmtime, ["--version"], { encoding: "utf8" }).stdout.trim();
  const other: HttpSystem = {
    name: "wasmtime",
    description: `${version}, wasmtime serve`,
    // What JavaScript's engine imports beside http is Tandem's to give in any case, with nothing in it.
    command: ({ path }, mode) => [wasmtime, ...serve(mode), "-S", "cli", path],
    environment: { HOME: directory },
  };
  return { systems: [tandem, other], absent: [] };
}

/** A server that runs. */
export interface HttpServing {
  readonly url: string;
  stop(): Promise<void>;
}

/** Resolves once it serves. What the guest prints goes nowhere. @throws Error with what it said instead */
export async function startServer(
  system: HttpSystem,
  program: HttpProgram,
  mode: Mode,
): Promise<HttpServing> {
  const [executable, ...parameters] = system.command(program, mode);
  const child = spawn(executable, parameters, {
    env: { ...process.env, ...system.environment },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const url = await addressOf(child);
  return {
    url,
    stop: async () => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function addressOf(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-10_000);
    const url = /Serving HTTP on (http:\S+)\n/.exec(said)?.[1];
    if (url !== undefined) resolve(url);
  });
  child.once("error", reject);
  child.once("exit", (code) => reject(new Error(`${child.spawnfile} ended with ${code}: ${said}`)));
  return await promise;
}
