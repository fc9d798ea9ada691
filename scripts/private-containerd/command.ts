import { spawn } from "node:child_process";
import { patience } from "./patience.ts";

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  readonly input?: string | Uint8Array;
  /** Kills the command and rejects after this time; 60 s unless told. */
  readonly timeoutMs?: number;
  /** Of stdout and stderr; utf8 unless told. */
  readonly encoding?: BufferEncoding;
}

export interface Finished {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. A status other than 0 is a result, not an error; a signal counts as 128 + its number. */
export function run(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const { promise, resolve, reject } = Promise.withResolvers<Finished>();
  const child = spawn(program, parameters, {
    cwd: options.directory,
    env: { ...process.env, ...options.environment },
    stdio: "pipe",
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.on("error", reject);
  // A program that does not read its input closes the pipe; that is its own business.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input);
  const timeoutMs = (options.timeoutMs ?? 60_000) * patience;
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    const output = Buffer.concat([...out, ...err]).toString();
    reject(new Error(`${program} ${parameters.join(" ")}: not done after ${timeoutMs} ms\n${output}`));
  }, timeoutMs);
  child.on("close", (code) => {
    clearTimeout(timer);
    resolve({
      status: code ?? 137,
      stdout: Buffer.concat(out).toString(options.encoding),
      stderr: Buffer.concat(err).toString(options.encoding),
    });
  });
  return promise;
}

/** The same, for a program that must succeed; returns its stdout. */
export async function runOk(
  program: string,
  parameters: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const finished = await run(program, parameters, options);
  if (finished.status !== 0) {
    throw new Error(
      `${program} ${parameters.join(" ")}: status ${finished.status}\n${finished.stdout}${finished.stderr}`,
    );
  }
  return finished.stdout;
}
