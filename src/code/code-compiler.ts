import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { shown, TandemError } from "../errors.ts";
import { lockFile } from "../file-lock.ts";
import { runWalled } from "../image/walled-child.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import type { ModuleScan } from "../native-surface.ts";
import type { CodeEngine } from "./code-engine.ts";
import { sha256 } from "./code-entry.ts";
import type { CodeStore } from "./code-store.ts";
import { type CompileRequest, parseCompileRequest } from "./compile-request.ts";
import { openCompilerCgroup } from "./compiler-cgroup.ts";
import { MAX_CODE_BYTES, MAX_MODULE_BYTES, WHOLE_MODULE_BYTES } from "./policy.ts";
import { decodeFunctions } from "./ran-functions.ts";

export interface CompilerHost {
  readonly engine: CodeEngine;
  readonly store: CodeStore;
  /** The store's directory: locks are beside its entries. */
  readonly directory: string;
  readonly log: Log;
}

/** So many compilers may wait for their turn; another one leaves the work to the next start of its module. */
const WAITING = 4;

/** The wall clock's: at the lowest priority, on a machine that is busy, its 120 s of processor take longer. */
const TIMEOUT_MS = 600_000;

interface Job {
  readonly module: string;
  readonly bytes: Buffer;
  readonly scan: ModuleScan;
  readonly functions: readonly number[];
}

/**
 * A freshly forked process optimises modules and keeps their code: one at a time for a state directory, at the lowest priority. What
 * reads a module with V8 is a child behind the wall of a wasm process, which can do nothing but hand back bytes; this process never
 * looks into them.
 */
export async function becomeCodeCompiler(
  host: CompilerHost,
  fields: readonly Buffer[],
  fds: readonly number[],
): Promise<never> {
  native.setProcessName("tandem-code");
  native.setSession();
  setPriority(0, 19);
  try {
    await compileAll(host, fields, fds);
  } catch (error) {
    host.log.warn({ err: TandemError.from(error) }, "code of a module was not made");
  }
  return native.exitNow(0);
}

async function compileAll(
  host: CompilerHost,
  fields: readonly Buffer[],
  [done = -1, ...files]: readonly number[],
): Promise<void> {
  const request = parseCompileRequest(fields[1]?.toString() ?? "");
  const { component } = request;
  const modules = [
    ...files.flatMap((fd) => readModule(fd) ?? []),
    ...(component === undefined ? [] : coreModulesOf(component)),
  ];
  // From here on a container's file system can be unmounted.
  closeSync(done);
  const jobs = modules.flatMap((bytes) => jobOf(host, bytes, request) ?? []);
  if (jobs.length === 0) return;
  mkdirSync(host.directory, { recursive: true, mode: 0o700 });
  if (!takeTurn(host.directory)) {
    host.log.debug(`code of module ${jobs[0]?.module}: left for later, ${WAITING} others are waiting`);
    return;
  }
  for (const job of jobs) {
    // Somebody else may have made it meanwhile.
    if (isMissing(host, job.module)) await compile(host, job);
  }
}

/** Whole, if it can have code at all. Owns the descriptor. */
function readModule(fd: number): Buffer | undefined {
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_MODULE_BYTES) return undefined;
    const bytes = Buffer.alloc(size);
    let length = 0;
    for (let read = 1; read > 0; length += read)
      read = length < size ? readSync(fd, bytes, length, size - length, length) : 0;
    return bytes.subarray(0, length);
  } finally {
    closeSync(fd);
  }
}

function coreModulesOf(component: string): Buffer[] {
  return readdirSync(component)
    .filter((name) => name.endsWith(".wasm"))
    .flatMap((name) => readModule(openSync(join(component, name), "r")) ?? []);
}

/** undefined when there is nothing to do: it has code, it cannot have any, or nobody knows yet which functions are worth it. */
function jobOf(host: CompilerHost, bytes: Buffer, request: CompileRequest): Job | undefined {
  const module = sha256(bytes);
  if (!isMissing(host, module)) return undefined;
  const scan = native.scanModule(bytes, 0);
  if (scan === undefined || scan.functions === 0) return undefined;
  const functions = functionsOf(scan, request, request.ran?.[module]);
  return functions.length === 0 ? undefined : { module, bytes, scan, functions };
}

function functionsOf({ functions, codeBytes }: ModuleScan, { whole }: CompileRequest, ran = ""): number[] {
  if (whole === true || codeBytes <= WHOLE_MODULE_BYTES)
    return Array.from({ length: functions }, (_, index) => index);
  return decodeFunctions(ran, functions) ?? [];
}

/** What is there is read and checked: a guest's process that found it damaged could not remove it. */
function isMissing({ engine, store, log }: CompilerHost, module: string): boolean {
  const entry = { engine: engine.id, module };
  if (store.hasFailed(engine.id, module)) return false;
  if (!store.has(engine.id, module)) return true;
  try {
    store.verify(entry);
    return false;
  } catch (error) {
    const { code, message } = TandemError.from(error);
    if (code !== "failed_precondition") throw error;
    store.remove(entry);
    log.warn(`code of module ${module}: dropped: ${message}`);
    return true;
  }
}

/** Waits until no other process compiles. Its turn lasts as long as this process. */
function takeTurn(directory: string): boolean {
  for (let place = 0; place < WAITING; place++) {
    const leave = lockFile(join(directory, `waiting-${place}`), { wait: false });
    if (leave === undefined) continue;
    lockFile(join(directory, "turn"), { wait: true });
    leave();
    return true;
  }
  return false;
}

async function compile(host: CompilerHost, job: Job): Promise<void> {
  const { engine, store, log } = host;
  const started = performance.now();
  try {
    const code = await compileBehindWall(host, job);
    try {
      const bytes = new Uint8Array(code);
      if (!engine.isOwn(bytes)) throw new TandemError("invalid_argument", "what came back is no code");
      const counts = { optimised: job.functions.length, functions: job.scan.functions };
      store.add(engine.headOf(job.module, bytes, counts), bytes);
      const ms = Math.round(performance.now() - started);
      log.debug(
        `code of module ${job.module}: ${job.functions.length} of ${job.scan.functions} functions, ${bytes.length} bytes, ${ms} ms`,
      );
    } finally {
      native.unmapFile(code);
    }
  } catch (error) {
    const failure = TandemError.from(error);
    // A full disk says nothing of the module.
    if (failure.code !== "resource_exhausted") store.markFailed(engine.id, job.module);
    log.warn({ err: failure }, `code of module ${job.module}: was not made`);
  }
}

/** What the child has written, mapped. Nothing is known of it. */
async function compileBehindWall(host: CompilerHost, job: Job): Promise<ArrayBuffer> {
  const path = join(host.directory, `output-${native.getpid()}`);
  const output = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  const [complaints, complain] = native.pipe();
  const cgroup = openCompilerCgroup(host.log);
  try {
    const status = runWalled(
      {
        directory: host.directory,
        empty: true,
        keep: [output],
        complaints: complain,
        cgroupFiles: cgroup?.files ?? [],
        timeoutMs: TIMEOUT_MS,
        maxFileBytes: MAX_CODE_BYTES,
      },
      () => {
        const compiled = host.engine.compile(job.bytes, job.scan, job.functions);
        const code = host.engine.save(compiled);
        for (let at = 0; at < code.length; ) at += writeSync(output, code, at, code.length - at);
      },
    );
    closeSync(complain);
    if (status !== 0) throw new TandemError("internal", readComplaint(complaints, status));
    return native.mapFile(output);
  } finally {
    closeSync(output);
    closeSync(complaints);
    await cgroup?.remove();
  }
}

/** The child may have been taken over by its module: of what it says, one line counts, and nothing is waited for. */
function readComplaint(pipe: number, status: number): string {
  if (!native.waitReadable(pipe, 0)) return `the compiler ended with status ${status}`;
  const chunk = Buffer.alloc(512);
  const text = chunk.toString("latin1", 0, readSync(pipe, chunk, 0, chunk.length, null));
  const [line = ""] = text.split("\n", 1);
  return line === "" ? `the compiler ended with status ${status}` : shown(line);
}
