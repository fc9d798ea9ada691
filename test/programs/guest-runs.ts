import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import * as assert from "uvu/assert";
import { type Finished, run } from "../../scripts/private-containerd/command.ts";
import { waitFor } from "../../scripts/private-containerd/wait-for.ts";
import { Household } from "../support/household.ts";

const tandem = fileURLToPath(new URL("../../dist/bin/tandem", import.meta.url));

/** Of scripts/get-wasmtime. */
const wasmtimeDirectory = fileURLToPath(new URL("../../.cache/wasmtime", import.meta.url));
const wasmtime = join(wasmtimeDirectory, "bin/wasmtime");

/** With pipes for stdin and stdout. */
export type Started = ChildProcessByStdio<Writable, Readable, null>;

export interface Served {
  /** `http://127.0.0.1:1234/` */
  readonly address: string;
  end(): Promise<void>;
}

export interface GuestOptions {
  /** Options of `tandem run`. Unless told, the work directory is granted as /work. */
  readonly flags?: readonly string[];
  readonly input?: string | Uint8Array;
  readonly encoding?: BufferEncoding;
}

/** `tandem run` with a zygote of its own, and a directory that the guest has as /work. Both go at the end. */
export class GuestRuns implements Disposable {
  readonly #directory = mkdtempSync("/tmp/tp-");
  readonly #household = new Household(join(this.#directory, "t"));
  readonly work = join(this.#directory, "work");
  readonly #grant = ["--dir", `${this.work}::/work`];

  constructor() {
    mkdirSync(this.work);
  }

  /** Runs a program to its end; a quarter of an hour at most. */
  async run(program: string, args: readonly string[] = [], options: GuestOptions = {}): Promise<Finished> {
    const { flags = this.#grant, ...rest } = options;
    return await run(tandem, ["run", ...flags, program, ...args], {
      ...rest,
      environment: this.#household.environment,
      timeoutMs: 900_000,
    });
  }

  /**
   * The same, and once more by wasmtime, where there is one: with what it finds in an empty /work it has to print and end the same.
   */
  async runAsWasmtime(
    program: string,
    args: readonly string[] = [],
    options: GuestOptions = {},
  ): Promise<Finished> {
    if (!existsSync(wasmtime)) return await this.run(program, args, options);
    this.#emptyWork();
    const { flags = this.#grant, ...rest } = options;
    const theirs = await run(wasmtime, ["run", "-C", "cache=y", ...flags, program, ...args], {
      ...rest,
      environment: { XDG_CACHE_HOME: wasmtimeDirectory },
      timeoutMs: 900_000,
    });
    this.#emptyWork();
    const ours = await this.run(program, args, options);
    const of = ({ stdout, status }: Finished): unknown => ({ stdout, status });
    assert.equal(of(ours), of(theirs), `${program}: wasmtime says ${theirs.stderr}; here ${ours.stderr}`);
    return ours;
  }

  #emptyWork(): void {
    for (const name of readdirSync(this.work)) rmSync(join(this.work, name), { recursive: true });
  }

  /** The same without waiting for its end. */
  start(program: string, args: readonly string[] = [], options: GuestOptions = {}): Started {
    const { flags = this.#grant } = options;
    return spawn(tandem, ["run", ...flags, program, ...args], {
      env: { ...process.env, ...this.#household.environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
  }

  /** `tandem serve` on a port of its choice, once it serves; options in place of the work directory's. */
  async serve(program: string, flags: readonly string[] = []): Promise<Served> {
    const child = spawn(tandem, ["serve", "--addr", "127.0.0.1:0", ...flags, program], {
      env: { ...process.env, ...this.#household.environment },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const exited = once(child, "exit");
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    const end = async (): Promise<void> => {
      child.kill("SIGTERM");
      await exited;
    };
    const address = (): string | undefined => /^Serving HTTP on (\S+)/m.exec(said)?.[1];
    try {
      await waitFor(() => address() !== undefined || child.exitCode !== null, 300_000, "an address");
      const found = address();
      if (found === undefined) throw new Error(said);
      return { address: found, end };
    } catch (error) {
      await end();
      throw error;
    }
  }

  /** Options with /work and these. */
  withWork(...flags: string[]): readonly string[] {
    return [...this.#grant, ...flags];
  }

  [Symbol.dispose](): void {
    this.#household.end();
    // A compiler of code that a guest has asked for may still be writing.
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }
}
