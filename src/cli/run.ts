import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { constants } from "node:os";
import { resolve } from "node:path";
import type { Workload } from "../../wasm-host/config.ts";
import { exitStatuses, statusFromFailure } from "../../wasm-host/exit.ts";
import { directories, launcherPath } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { CodeErrand } from "../executor/wasm-code.ts";
import { spawnWasm } from "../executor/wasm-process.ts";
import { digestOf } from "../image/digest-of.ts";
import { ensureTranspiled } from "../image/transpile.ts";
import { WASM_HEAD_LENGTH, wasmForm } from "../image/wasm-form.ts";
import { toRunConfig } from "../run/run-config.ts";
import { type RunRequest, readRunRequest } from "../run/run-request.ts";
import { startZygote } from "./zygote.ts";

/** `tandem run`: a module or component, in the host and behind the walls of a wasm container, without containerd. */
export async function run(args: readonly string[]): Promise<number> {
  try {
    const env = new Map(Object.entries(process.env).map(([name, value]) => [name, value ?? ""]));
    const request = readRunRequest(args, { env, exists: existsSync });
    if (request === "help") return 0;
    return await runGuest(request);
  } catch (error) {
    const failure = TandemError.from(error);
    process.stderr.write(`tandem run: ${failure.message}\n`);
    return failure.code === "invalid_argument" ? exitStatuses.cannotRun : statusFromFailure(failure);
  }
}

async function runGuest(request: RunRequest): Promise<number> {
  const workload = await findWorkload(resolve(request.file), request.entry);
  const id = `run-${process.pid}`;
  const config = toRunConfig(request, { id, cwd: process.cwd(), umask: process.umask(), workload });
  const zygote = { socket: startZygote(), launcher: launcherPath };
  const guest = await spawnWasm(zygote, {
    config,
    stdio: { stdin: 0, stdout: 1, stderr: 2 },
    pidNamespace: "new",
    signal: new AbortController().signal,
  });
  for (const name of forwarded) process.on(name, () => guest.kill(constants.signals[name]));
  const warn = (error: TandemError): void => void process.stderr.write(`tandem run: ${error.message}\n`);
  const errand = new CodeErrand({ zygote, workload, process: guest, warn });
  await guest.start();
  errand.started();
  const { status } = await guest.exited;
  await errand.finished();
  return status;
}

const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

async function findWorkload(path: string, entry: string | undefined): Promise<Workload> {
  const fd = openSync(path, "r");
  try {
    const head = Buffer.alloc(WASM_HEAD_LENGTH);
    const form = wasmForm(head.subarray(0, readSync(fd, head, 0, head.length, 0)));
    if (form === undefined)
      throw new TandemError("invalid_argument", `${path}: neither a wasm module nor a component`);
    if (form === "module") return { form, file: ["/", path], export: entry };
    const { dir } = await ensureTranspiled({
      path: `/proc/${process.pid}/fd/${fd}`,
      digest: digestOf(fd),
      stateDir: directories.state,
      walled: true,
    });
    return { form, transpiled: dir, export: entry };
  } finally {
    closeSync(fd);
  }
}
