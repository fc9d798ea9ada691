import { closeSync, existsSync, openSync } from "node:fs";
import type { WasmConfig } from "../../wasm-host/config.ts";
import { logOf } from "../../wasm-host/debug/log-level.ts";
import { exitStatuses, statusFromFailure } from "../../wasm-host/exit.ts";
import { machineResolver } from "../../wasm-host/network/read-resolver-files.ts";
import { findWorld } from "../../wasm-host/world.ts";
import { TandemError } from "../errors.ts";
import { startWorkload } from "../executor/start-workload.ts";
import { CodeErrand } from "../executor/wasm-code.ts";
import { spawnWasm, type WasmProcess } from "../executor/wasm-process.ts";
import type { Log } from "../log.ts";
import type { Call } from "../oci/call.ts";
import type { RunCallRequest } from "../oci/protocol.ts";
import { SIGKILL } from "../signals.ts";
import type { ZygoteAddress } from "../zygote/client.ts";
import { explainRun } from "./explain.ts";
import { type FoundWorkload, findWorkload } from "./find-workload.ts";
import { inheritanceOf } from "./inheritance.ts";
import { callerPath, toGrantPlan, toIsolation } from "./run-config.ts";
import { helpOf } from "./run-help.ts";
import { type RunRequest, readRunRequest, readServeRequest } from "./run-request.ts";
import { type GrantedSockets, openSockets, refuseDirectories, requireConnections } from "./sockets.ts";
import { withStack } from "./stack-limit.ts";

/** What a client of `tandem run` or `tandem serve` brings. */
export interface RunCall {
  readonly call: Call;
  readonly request: RunCallRequest;
  /** Its own: 0, 1, 2 and sockets of socket activation. They are closed here as soon as its guest has them. */
  readonly descriptors: readonly number[];
  readonly zygote: ZygoteAddress;
  /** For what nobody waits for any more. */
  readonly log: Log;
}

type Verb = "run" | "serve";

/** Answers one command line: its client ends with its guest, and its guest with it. */
export async function answerRun(run: RunCall): Promise<void> {
  const { call } = run;
  const verb = call.args[0] === "serve" ? "serve" : "run";
  try {
    await call.exit(await answer(run, verb));
  } catch (error) {
    const failure = TandemError.from(error);
    call.writeError(`tandem ${verb}: ${failure.message}\n`);
    await call.exit(error instanceof UsageError ? exitStatuses.hostError : statusFromFailure(failure));
  }
}

/** What is wrong with the command line itself: nobody may take it for the guest's failure. */
class UsageError extends TandemError {}

/** Resolves with the client's exit status. */
async function answer(run: RunCall, verb: Verb): Promise<number> {
  const { call, descriptors } = run;
  let guest: Prepared | undefined;
  try {
    const wanted = readCall(call, verb);
    if (wanted === "help") call.write(helpOf(verb));
    else if (wanted.explain !== "no") call.write(explainRun(wanted, call.cwd));
    else guest = await prepareGuest(wanted, run);
  } finally {
    // Whoever reads what the guest writes waits for the last one who could.
    for (const fd of descriptors) closeSync(fd);
  }
  return guest === undefined ? 0 : await followGuest(guest, run);
}

function readCall(call: Call, verb: Verb): RunRequest | "help" {
  try {
    const exists = (path: string): boolean => existsSync(callerPath(call.cwd, path));
    const read = verb === "run" ? readRunRequest : readServeRequest;
    return read(call.args.slice(1), { env: call.env, exists });
  } catch (error) {
    const { code, message } = TandemError.from(error);
    throw new UsageError(code, `${message}; see tandem ${verb} --help`, { cause: error });
  }
}

interface Prepared {
  readonly guest: WasmProcess;
  readonly config: WasmConfig;
}

async function prepareGuest(wanted: RunRequest, run: RunCall): Promise<Prepared> {
  const { call, descriptors, log } = run;
  const find = () => findWorkload(callerPath(call.cwd, wanted.file), wanted.entry, call.signal);
  const found = await find();
  requireVerb(wanted, found);
  const sockets = openSockets(wanted, descriptors.slice(3));
  try {
    const config = toConfig(wanted, { run, found, sockets });
    const guest = await startWorkload({
      workload: found.workload,
      spawn: () => spawn(wanted, { run, config, sockets }),
      transpile: find,
      warn: (error) => log.warn({ err: error }, "made anew"),
    });
    return { guest, config };
  } finally {
    sockets.close();
  }
}

/** Who only answers requests would wait for ever where nobody can send one. */
function requireVerb({ file, entry, serve }: RunRequest, { exports }: FoundWorkload): void {
  const serves = exports !== undefined && findWorld(exports).world === "http";
  if (serve !== undefined && !serves)
    throw new TandemError("invalid_argument", `${file}: is no component that answers HTTP requests`);
  if (serve === undefined && serves && entry === undefined)
    throw new TandemError("invalid_argument", `${file}: answers HTTP requests: tandem serve runs it`);
}

interface ConfigParts {
  readonly run: RunCall;
  readonly found: FoundWorkload;
  readonly sockets: GrantedSockets;
}

function toConfig(wanted: RunRequest, { run, found, sockets }: ConfigParts): WasmConfig {
  const { call, request } = run;
  const grant = toGrantPlan(wanted, call.cwd, sockets.forGuest.length);
  const { http } = sockets;
  const limited = { ...request, rlimits: withStack(request.rlimits, wanted.stackBytes) };
  return {
    id: `run-${call.pid}`,
    ...logOf(call.env.get("TANDEM_LOG")),
    workload: found.workload,
    grant,
    stackBytes: wanted.stackBytes,
    listeners: sockets.forGuest.length + (http === undefined ? 0 : 1),
    http: http === undefined ? { port: 8080 } : { listener: sockets.forGuest.length, announce: http.address },
    ...(wanted.serve === undefined ? {} : { httpLimits: wanted.serve.limits }),
    resolver: machineResolver,
    isolation: toIsolation(grant, inheritanceOf(limited, call)),
  };
}

interface SpawnParts {
  readonly run: RunCall;
  readonly config: WasmConfig;
  readonly sockets: GrantedSockets;
}

/** Its stdio are the client's own, or nowhere. */
async function spawn(wanted: RunRequest, { run, config, sockets }: SpawnParts): Promise<WasmProcess> {
  const own = wanted.inheritStdio.map((inherit, index) => (inherit ? run.descriptors[index] : undefined));
  refuseDirectories(own);
  if (config.grant.network !== undefined || config.listeners > 0) requireConnections(own);
  const nowhere = openSync("/dev/null", "r+");
  try {
    const [stdin = nowhere, stdout = nowhere, stderr = nowhere] = own;
    return await spawnWasm(run.zygote, {
      config,
      stdio: { stdin, stdout, stderr },
      listeners: [...sockets.forGuest, ...(sockets.http === undefined ? [] : [sockets.http.fd])],
      pidNamespace: "new",
      signal: run.call.signal,
    });
  } finally {
    closeSync(nowhere);
  }
}

/** Resolves with its exit status. */
async function followGuest({ guest, config }: Prepared, { call, zygote, log }: RunCall): Promise<number> {
  call.signal.addEventListener("abort", () => kill(guest));
  if (call.signal.aborted) kill(guest);
  const warn = (error: TandemError): void => log.warn({ err: error }, "went on without");
  const errand = new CodeErrand({ zygote, workload: config.workload, process: guest, warn });
  await guest.handOver((parts) => call.giveGuest(parts));
  errand.started();
  return (await guest.exited).status;
}

function kill(guest: WasmProcess): void {
  try {
    guest.kill(SIGKILL);
  } catch (error) {
    if (TandemError.from(error).code !== "not_found") throw error;
  }
}
