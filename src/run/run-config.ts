import { resolve } from "node:path";
import type { GrantPlan, WasmConfig, WasmIsolation } from "../../wasm-host/config.ts";
import { TandemError } from "../errors.ts";
import type { RunRequest } from "./run-request.ts";

/** sched.h */
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;

/** How many directories a guest can be given (maxPlaces of native/addon/isolate.cc). */
const MAX_DIRECTORIES = 64;

/**
 * What the command line grants, with absolute paths.
 *
 * @param cwd the caller's; "" when it has none
 * @throws TandemError failed_precondition for a relative path without a working directory, resource_exhausted
 */
export function toGrantPlan(request: RunRequest, cwd: string, listeners: number): GrantPlan {
  const { args, env, network, clocks, random, limits, directories } = request;
  if (directories.length > MAX_DIRECTORIES)
    throw new TandemError("resource_exhausted", `option --dir: ${MAX_DIRECTORIES} directories at most`);
  return {
    args,
    env,
    preopens: directories.map(({ host, guest, readonly }) => ({
      guestPath: guest,
      source: { bind: callerPath(cwd, host), recursive: true },
      readonly,
      mounts: [],
    })),
    listeners,
    ...(network === undefined ? {} : { network }),
    ...(clocks === undefined ? {} : { clocks }),
    ...(random === undefined ? {} : { random }),
    ...(limits === undefined ? {} : { limits }),
  };
}

/** A path as the caller means it. @throws TandemError failed_precondition when its working directory is gone */
export function callerPath(cwd: string, path: string): string {
  if (!path.startsWith("/") && cwd === "")
    throw new TandemError("failed_precondition", `${path}: the working directory does not exist`);
  return resolve(cwd, path);
}

/** What a guest takes from its caller, as a child of it would. */
export interface Inheritance {
  readonly umask: number;
  readonly cgroupFiles: readonly string[];
  readonly rlimits: WasmIsolation["rlimits"];
  readonly user: WasmIsolation["user"];
}

/** The caller's rights without a capability, and no network but what is granted. */
export function toIsolation({ network }: GrantPlan, inheritance: Inheritance): WasmConfig["isolation"] {
  return {
    ...inheritance,
    oomScoreAdj: undefined,
    joinNamespaces: [],
    unshare: CLONE_NEWIPC | CLONE_NEWUTS | (network === undefined ? CLONE_NEWNET : 0),
    hostname: undefined,
  };
}
