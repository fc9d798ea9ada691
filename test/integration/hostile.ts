/** The hostile program of test/security/fixtures/hostile.c, and the rooms that it is let into. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Spec, SpecProcess } from "../../src/bundle/spec.ts";
import type { ExecutorContainer } from "../../src/executor/executor.ts";
import { create, createBundle, exitOf, openOutput } from "./linux-container.ts";

const directory = mkdtempSync(join(tmpdir(), "tandem-hostile-"));
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));

/** Built once per test file. */
export const hostile = join(directory, "hostile");
const source = fileURLToPath(new URL("../security/fixtures/hostile.c", import.meta.url));
execFileSync("cc", ["-O1", "-static", "-o", hostile, source]);

/** Puts it into a root file system, as /bin/hostile. */
export function arm({ rootfs }: { readonly rootfs: string }): void {
  copyFileSync(hostile, join(rootfs, "bin/hostile"));
}

/** Somebody with a hand in `path` (another container's volume) who exchanges two of its names all the time. */
export class Exchanger {
  readonly #child: ChildProcess;
  readonly #ready: Promise<void>;

  constructor(path: string, one: string, other: string) {
    this.#child = spawn(hostile, ["exchange", path, one, other], { stdio: ["ignore", "pipe", "inherit"] });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#child.stdout?.once("data", () => resolve());
    this.#ready = promise;
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** Fails if it could not do its work all along. */
  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
    if (this.#child.exitCode !== null) throw new Error("the exchanger gave up");
    this.#child.kill("SIGKILL");
    await ended;
  }
}

export interface Room {
  readonly bundle: { readonly path: string; readonly rootfs: string };
  readonly container: ExecutorContainer;
  output(): string;
  /** Runs another process in the container to its end. */
  exec(
    process: Partial<SpecProcess> & Pick<SpecProcess, "args">,
  ): Promise<{ output: string; status: number }>;
}

/** Runs `body` beside a running container with the hostile program in it, and takes the container away. */
export async function within<T>(
  spec: Spec,
  body: (room: Room) => Promise<T>,
  prepare: (bundle: { path: string; rootfs: string }) => void = () => undefined,
): Promise<T> {
  const bundle = createBundle();
  try {
    arm(bundle);
    prepare(bundle);
    const { container, output } = await create(bundle, spec);
    try {
      await container.init.start();
      return await body({
        bundle,
        container,
        output,
        exec: (process) => exec(bundle.path, container, process),
      });
    } finally {
      container.init.kill(9);
      await exitOf(container.init);
      await container.release();
    }
  } finally {
    bundle.remove();
  }
}

let execs = 0;

async function exec(
  path: string,
  container: ExecutorContainer,
  change: Partial<SpecProcess>,
): Promise<{ output: string; status: number }> {
  const execId = `e${execs++}`;
  const file = join(path, execId);
  const io = openOutput(file);
  try {
    const process = await container.exec({
      execId,
      process: { cwd: "/", env: ["PATH=/bin"], ...change },
      stdio: io.stdio,
      signal: AbortSignal.timeout(10_000),
    });
    await process.start();
    const { status } = await exitOf(process);
    return { output: readFileSync(file, "utf8"), status };
  } finally {
    io.close();
  }
}
