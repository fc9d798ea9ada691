import { closeSync, existsSync, openSync } from "node:fs";
import type { WasmConfig } from "../../wasm-host/config.ts";
import { exitStatuses, statusFromFailure } from "../../wasm-host/exit.ts";
import { machineResolver } from "../../wasm-host/network/read-resolver-files.ts";
import { findWorld } from "../../wasm-host/world.ts";
import { TandemError } from "../errors.ts";
import { CodeErrand } from "../executor/wasm-code.ts";
import { spawnWasm, type WasmProcess } from "../executor/wasm-process.ts";
import type { Log } from "../log.ts";
import type { Call } from "../oci/call.ts";
import type { RunCallRequest } from "../oci/protocol.ts";
import { SIGKILL } from "../signals.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import { findWorkload } from "./find-workload.ts";
import { inheritanceOf } from "./inheritance.ts";
import { callerPath, toGrantPlan, toIsolation } from "./run-config.ts";
import { runHelp } from "./run-help.ts";
import { type RunRequest, readRunRequest } from "./run-request.ts";

/** What a client of `tandem run` brings. */
export interface RunCall {
  readonly call: Call;
  readonly request: RunCallRequest;
  /** Its own: 0, 1, 2 and sockets of socket activation. They are closed here as soon as its guest has them. */
  readonly descriptors: readonly number[];
  readonly zygote: ZygoteAddress;
  /** For what nobody waits for any more. */
  readonly log: Log;
}

/** Answers one `tandem run`: its client ends with its guest, and its guest with it. */
export async function answerRun(run: RunCall): Promise<void> {
  const { call } = run;
  try {
    const wanted = readCall(call);
    if (wanted === "help") call.write(runHelp());
    await call.exit(wanted === "help" ? 0 : await runGuest(wanted, run));
  } catch (error) {
    const failure = TandemError.from(error);
    call.writeError(`tandem run: ${failure.message}\n`);
    await call.exit(error instanceof UsageError ? exitStatuses.hostError : statusFromFailure(failure));
  }
}

/** What is wrong with the command line itself: nobody may take it for the guest's failure. */
class UsageError extends TandemError {}

function readCall(call: Call): RunRequest | "help" {
  try {
    const exists = (path: string): boolean => existsSync(callerPath(call.cwd, path));
    return readRunRequest(call.args.slice(1), { env: call.env, exists });
  } catch (error) {
    const { code, message } = TandemError.from(error);
    throw new UsageError(code, `${message}; see tandem run --help`, { cause: error });
  }
}

/** Resolves with its exit status. */
async function runGuest(wanted: RunRequest, run: RunCall): Promise<number> {
  const { call, zygote, log } = run;
  let config: WasmConfig;
  let guest: WasmProcess;
  try {
    config = await toConfig(wanted, run);
    guest = await spawn(wanted, run, config);
  } finally {
    // Whoever reads what it writes waits for the last one who could.
    for (const fd of run.descriptors) closeSync(fd);
  }
  call.signal.addEventListener("abort", () => kill(guest));
  if (call.signal.aborted) kill(guest);
  const warn = (error: TandemError): void => log.warn({ err: error }, "went on without");
  const errand = new CodeErrand({ zygote, workload: config.workload, process: guest, warn });
  await guest.handOver((parts) => call.giveGuest(parts));
  errand.started();
  const { status } = await guest.exited;
  return status;
}

function kill(guest: WasmProcess): void {
  try {
    guest.kill(SIGKILL);
  } catch (error) {
    if (TandemError.from(error).code !== "not_found") throw error;
  }
}

async function toConfig(wanted: RunRequest, { call, request }: RunCall): Promise<WasmConfig> {
  const path = callerPath(call.cwd, wanted.file);
  const { workload, exports } = await findWorkload(path, wanted.entry, call.signal);
  if (wanted.entry === undefined && exports !== undefined && findWorld(exports).world === "http")
    throw new TandemError("invalid_argument", `${wanted.file}: answers HTTP requests: tandem serve runs it`);
  const grant = toGrantPlan(wanted, call.cwd, 0);
  return {
    id: `run-${call.pid}`,
    workload,
    grant,
    listeners: 0,
    http: { port: 8080 },
    resolver: machineResolver,
    isolation: toIsolation(grant, inheritanceOf(request, call.pid)),
  };
}

/** Its stdio are the client's own, or nowhere. */
async function spawn(wanted: RunRequest, run: RunCall, config: WasmConfig): Promise<WasmProcess> {
  const nowhere = openSync("/dev/null", "r+");
  try {
    const [stdin = nowhere, stdout = nowhere, stderr = nowhere] = wanted.inheritStdio.map((own, index) =>
      own ? run.descriptors[index] : nowhere,
    );
    return await spawnWasm(run.zygote, {
      config,
      stdio: { stdin, stdout, stderr },
      pidNamespace: "new",
      signal: run.call.signal,
    });
  } finally {
    closeSync(nowhere);
  }
}
