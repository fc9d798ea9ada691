import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { directories } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { type CacheEntry, CompileCache } from "./compile-cache.ts";

/** The version that package.json pins; part of every key, because each version makes other glue. */
export const jcoTranspileVersion = "0.15.0";

/** Changes when transpile-worker.ts makes something else of the same component. */
const formatVersion = 14;

const defaultMaxBytes = 2 * 1024 ** 3;

/** A component that takes longer is refused: 12 MB of StarlingMonkey take five seconds on a slow core. */
const transpileTimeoutMs = 120_000;

export interface TranspileRequest {
  /** The component. Read once, by the worker, and only when the cache has nothing. */
  readonly path: string;
  /** What messages call it, where the path is only good for opening it. */
  readonly name?: string | undefined;
  /** `sha256:…` of the component's bytes; the worker refuses others. */
  readonly digest: string;
  readonly stateDir: string;
  readonly signal?: AbortSignal;
  readonly maxBytes?: number;
  /** Keeps a hostile component from whoever transpiles it, with root's rights and the zygote's V8 flags. Always, in production. */
  readonly walled?: boolean;
  /** Glue in any case, also for what a link plan can say. */
  readonly glue?: boolean;
  /** Told once when there is work to do. */
  readonly onProgress?: (message: string) => void;
}

/**
 * The glue and core modules of a component, from the cache or transpiled now, in a process of its own. Callers at once share
 * the work, across processes.
 * @throws TandemError `invalid_argument` for bytes that are no component, `not_found`, `resource_exhausted` for a full disk,
 *   `deadline_exceeded`; always one line
 */
export async function ensureTranspiled(request: TranspileRequest): Promise<CacheEntry> {
  const sha256 = /^sha256:([0-9a-f]{64})$/.exec(request.digest)?.[1];
  if (sha256 === undefined)
    throw new TandemError(
      "invalid_argument",
      `component ${nameOf(request)}: ${request.digest} is not a sha256 digest`,
    );
  const cache = componentCache(request);
  const build = (directory: string): Promise<void> => {
    request.onProgress?.(`transpiling ${request.digest}`);
    const options = [
      ...(request.walled === true ? ["walled"] : []),
      ...(request.glue === true ? ["glue"] : []),
    ];
    return runWorker([request.path, sha256, directory, ...options], request);
  };
  return await cache.findOrBuild(cacheKey(sha256, request.glue), build, request.signal);
}

export function componentCache({
  stateDir,
  maxBytes,
}: Pick<TranspileRequest, "stateDir" | "maxBytes">): CompileCache {
  return new CompileCache({
    directory: join(stateDir, "components"),
    maxBytes: maxBytes ?? defaultMaxBytes,
  });
}

/** V8 refuses a code cache of another version or other flags, so these make other entries. */
export function cacheKey(sha256: string, glue = false): string {
  const parts = [sha256, ...(glue ? ["glue"] : []), ...workerFlags()];
  return `${transpilerId()}-${sha256Of(parts)}`;
}

/** Whether an entry is of no use to this build: another transpiler, format or V8 made it. */
export function isForeignKey(key: string): boolean {
  return !key.startsWith(`${transpilerId()}-`);
}

function transpilerId(): string {
  return sha256Of([jcoTranspileVersion, String(formatVersion), process.versions.v8]).slice(0, 16);
}

function sha256Of(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\n")).digest("hex");
}

/** This process's own flags, without those that make it run or watch something else. */
function workerFlags(): readonly string[] {
  const foreign =
    /^--(inspect|import|require|loader|experimental-loader|eval|print|test|watch|env-file|cpu-prof|heap-prof)/;
  return process.execArgv.filter((flag) => flag.startsWith("--") && !foreign.test(flag));
}

/** Beside the bundle when installed, beside this file in a checkout. */
function workerPath(): string {
  const installed = fileURLToPath(new URL("./transpile-worker.mjs", import.meta.url));
  return existsSync(installed) ? installed : fileURLToPath(new URL("./transpile-worker.ts", import.meta.url));
}

/** Resolves when the worker has exited with 0; its one line on stderr becomes the error. */
function runWorker(args: readonly string[], request: TranspileRequest): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timeout = AbortSignal.timeout(transpileTimeoutMs);
  const worker = spawn(process.execPath, [...workerFlags(), workerPath(), ...args], {
    cwd: "/",
    env: request.walled === true ? { LD_PRELOAD: join(directories.lib, "tandem-dofork.so") } : {},
    stdio: ["ignore", "ignore", "pipe"],
    signal: request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]),
    killSignal: "SIGKILL",
  });
  let stderr = "";
  worker.stderr.setEncoding("utf8").on("data", (text: string) => {
    if (stderr.length < 4096) stderr += text;
  });
  let failure: TandemError | undefined;
  worker.on("error", (error) => {
    failure = timeout.aborted ? timedOut(request) : TandemError.from(error, `transpile ${nameOf(request)}`);
    if (worker.pid === undefined) reject(failure); // else it has been killed, and may write until it is gone
  });
  worker.on("close", (status, signal) => {
    if (status === 0) resolve();
    else if (failure !== undefined) reject(failure);
    else reject(workerFailure(request, stderr.trim() || `killed by ${signal ?? `status ${status}`}`));
  });
  return promise;
}

function nameOf({ name, path }: TranspileRequest): string {
  return name ?? path;
}

function timedOut(request: TranspileRequest): TandemError {
  return new TandemError(
    "deadline_exceeded",
    `transpile ${nameOf(request)}: not done after ${transpileTimeoutMs / 1000} s`,
  );
}

function workerFailure(request: TranspileRequest, line: string): TandemError {
  const name = nameOf(request);
  // Its own messages say the path that it was given.
  const first = (line.split("\n", 1)[0] ?? line).replaceAll(request.path, name);
  if (/^(ENOSPC|EDQUOT)\b/.test(first))
    return new TandemError("resource_exhausted", `transpile ${name}: no space left for the component cache`);
  if (/^ENOENT\b/.test(first)) return new TandemError("not_found", `transpile ${name}: ${first}`);
  return new TandemError("invalid_argument", `transpile ${name}: ${first}`);
}
