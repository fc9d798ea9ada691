import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** Scripts given as text resolve their imports from here. */
const root = fileURLToPath(new URL("../..", import.meta.url));

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, or kills it after ten seconds. */
export async function runProgram(path: string, args: readonly string[], stdin = ""): Promise<Finished> {
  const child = spawn(path, args, { cwd: root, stdio: "pipe" });
  const guard = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const ended = once(child, "close");
  const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
  child.stdin.on("error", () => child.stdin.destroy()); // a program that ends without reading closes the pipe
  child.stdin.end(stdin);
  const [stdout, stderr] = await outputs;
  const [status, signal] = await ended;
  clearTimeout(guard);
  return { status, signal, stdout, stderr };
}

export interface Started {
  readonly ended: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
  /** Resolves once the kernel says that the process waits for something. */
  asleep(): Promise<void>;
}

/** Starts a program that does not end by itself; killed after ten seconds. */
export function startProgram(path: string, args: readonly string[]): Started {
  const child = spawn(path, args, { stdio: "ignore" });
  const guard = setTimeout(() => child.kill("SIGKILL"), 10_000);
  return {
    ended: once(child, "close").then(([status, signal]) => {
      clearTimeout(guard);
      return { status, signal };
    }),
    kill: (signal) => void child.kill(signal),
    async asleep() {
      for (let tries = 0; tries < 500; tries += 1) {
        const status = await readFile(`/proc/${child.pid}/status`, "utf8");
        if (/^State:\s+S/m.test(status)) return;
        await sleep(10);
      }
      throw new Error(`${path}: never waits`);
    },
  };
}

/** Runs a script in a Node of its own. */
export async function runNode(script: string, args: readonly string[], stdin = ""): Promise<Finished> {
  return await runProgram(process.execPath, [...flagsFor(script), ...args], stdin);
}

export interface Running extends AsyncDisposable {
  /** What it has written so far. */
  output(): string;
}

/** Starts a script in a Node of its own and waits for it to write something that matches. */
export async function startNode(script: string, ready: RegExp): Promise<Running> {
  const child = spawn(process.execPath, flagsFor(script), { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const closed = once(child, "close");
  let output = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const listen = (chunk: Buffer) => {
    output += chunk.toString();
    if (ready.test(output)) resolve();
  };
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  child.on("close", () => reject(new Error(`ended before it was ready: ${output}`)));
  const guard = setTimeout(() => child.kill("SIGKILL"), 20_000);
  const stop = async () => {
    clearTimeout(guard);
    child.kill("SIGKILL");
    await closed;
  };
  try {
    await promise;
  } catch (error) {
    await stop();
    throw error;
  }
  return { output: () => output, [Symbol.asyncDispose]: stop };
}

function flagsFor(script: string): string[] {
  return ["--no-warnings", "--input-type=module", "--eval", script, "--"];
}
