import { resolve } from "node:path";
import type { GrantPlan, WasmConfig, Workload } from "../../wasm-host/config.ts";
import { machineResolver } from "../../wasm-host/network/read-resolver-files.ts";
import type { RunRequest } from "./run-request.ts";

/** sched.h */
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;

/** Paths in it are absolute; `cwd` is the caller's. */
export function toGrantPlan(request: RunRequest, cwd: string): GrantPlan {
  const { args, env, network, clocks, random, limits } = request;
  return {
    args,
    env,
    preopens: request.directories.map(({ host, guest, readonly }) => ({
      guestPath: guest,
      source: { bind: resolve(cwd, host), recursive: true },
      readonly,
      mounts: [],
    })),
    listeners: request.listen.length,
    ...(network === undefined ? {} : { network }),
    ...(clocks === undefined ? {} : { clocks }),
    ...(random === undefined ? {} : { random }),
    ...(limits === undefined ? {} : { limits }),
  };
}

export interface RunSurroundings {
  readonly id: string;
  readonly cwd: string;
  readonly umask: number;
  readonly workload: Workload;
}

/** What the guest's process is told: the caller's rights without a capability, and no network but what is granted. */
export function toRunConfig(request: RunRequest, { id, cwd, umask, workload }: RunSurroundings): WasmConfig {
  const grant = toGrantPlan(request, cwd);
  return {
    id,
    workload,
    grant,
    listeners: grant.listeners,
    http: { port: 8080 },
    resolver: machineResolver,
    isolation: {
      cgroupFiles: [],
      oomScoreAdj: undefined,
      rlimits: [],
      joinNamespaces: [],
      unshare: CLONE_NEWIPC | CLONE_NEWUTS | (grant.network === undefined ? CLONE_NEWNET : 0),
      hostname: undefined,
      umask,
      user: undefined,
    },
  };
}
