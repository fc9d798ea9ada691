import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import type { HookKind, Spec, SpecHook } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";

export interface HookContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
}

export interface HookOptions {
  /** Kills the one that runs: nobody waits for it any more. */
  readonly signal?: AbortSignal | undefined;
  /** What a hook without an environment of its own inherits: the runtime's, as whoever called it sees it. */
  readonly environment?: ReadonlyMap<string, string> | undefined;
}

type Status = "creating" | "created" | "running" | "stopped";

/** The container's state as hooks get it on stdin (runtime-spec, runtime.md "State"). */
export function hookState({ id, bundle, spec }: HookContainer, status: Status, pid: number): string {
  const { ociVersion, annotations = {} } = spec;
  return JSON.stringify({
    ociVersion,
    id,
    status,
    ...(status === "stopped" ? {} : { pid }),
    bundle,
    annotations,
  });
}

const statusOf = {
  prestart: "creating",
  createRuntime: "creating",
  poststart: "running",
  poststop: "stopped",
} as const satisfies Partial<Record<HookKind, Status>>;

/**
 * Runs the hooks of one kind in the runtime's namespaces, one after the other; the first failure ends it, but of poststop, which clean
 * up, all have their turn (runtime-spec, runtime.md "Lifecycle" 14).
 *
 * @throws TandemError failed_precondition or deadline_exceeded, naming the hook and carrying what it wrote to stderr
 */
export async function runHooks(
  kind: keyof typeof statusOf,
  container: HookContainer,
  pid: number,
  { signal, environment }: HookOptions = {},
): Promise<void> {
  const hooks = container.spec.hooks?.[kind] ?? [];
  if (hooks.length === 0) return;
  const state = hookState(container, statusOf[kind], pid);
  const failures: TandemError[] = [];
  for (const [index, hook] of hooks.entries())
    try {
      await runHook(hook, `hooks.${kind}[${index}] ${hook.path}`, {
        state,
        cwd: workingDirectory(container),
        env: Object.fromEntries(hook.env?.map((entry) => splitEntry(entry)) ?? environment ?? []),
        signal,
      });
    } catch (error) {
      if (kind !== "poststop") throw error;
      failures.push(TandemError.from(error));
    }
  const [first] = failures;
  if (first !== undefined)
    throw new TandemError(first.code, failures.map(({ message }) => message).join("; "), { cause: first });
}

/** As other runtimes have it; a bundle that is gone must not keep poststop from running. */
function workingDirectory({ bundle }: HookContainer): string {
  return existsSync(bundle) ? bundle : "/";
}

const STDERR_LIMIT = 4096;
/** 24 days. Of more, setTimeout makes one millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface HookRun {
  readonly state: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

async function runHook(
  hook: SpecHook,
  property: string,
  { state, cwd, env, signal }: HookRun,
): Promise<void> {
  signal?.throwIfAborted();
  const [argv0 = hook.path, ...args] = hook.args ?? [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let child: ChildProcessByStdio<Writable, null, Readable>;
  try {
    child = spawn(hook.path, args, { argv0, cwd, env, stdio: ["pipe", "ignore", "pipe"] });
  } catch (error) {
    // What is not about the file is thrown: arguments that are too long, for example.
    throw TandemError.from(error, property);
  }
  let timedOut = false;
  const timer =
    hook.timeout === undefined
      ? undefined
      : setTimeout(
          () => {
            timedOut = true;
            child.kill("SIGKILL");
          },
          Math.min(hook.timeout * 1000, LONGEST_TIMER_MS),
        );
  const kill = (): void => {
    child.kill("SIGKILL");
  };
  signal?.addEventListener("abort", kill);
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-STDERR_LIMIT);
  });
  child.once("error", (error) => reject(TandemError.from(error, property)));
  // "exit", not "close": a daemon that the hook leaves behind may hold its stderr.
  child.once("exit", (status, killedBy) => {
    if (status === 0) resolve();
    else if (signal?.aborted === true) reject(TandemError.from(signal.reason, property));
    else if (timedOut)
      reject(new TandemError("deadline_exceeded", `${property}: took longer than ${hook.timeout} s`));
    else {
      const reason = killedBy ?? `status ${status}`;
      reject(new TandemError("failed_precondition", `${property}: failed with ${reason}: ${stderr.trim()}`));
    }
  });
  // A hook need not read its stdin.
  child.stdin.on("error", () => undefined);
  child.stdin.end(state);
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", kill);
    child.stderr.destroy();
  }
}

function splitEntry(entry: string): [string, string] {
  const equals = entry.indexOf("=");
  return equals < 0 ? [entry, ""] : [entry.slice(0, equals), entry.slice(equals + 1)];
}
