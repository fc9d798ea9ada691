import type { CodeReport } from "../src/code/code-report.ts";
import type { RanFunctions } from "../src/code/ran-functions.ts";
import type { LogLevel } from "./debug/log-level.ts";
import type { Grant } from "./grant.ts";
import type { HttpLimits } from "./http/limits.ts";
import type { LimitName } from "./limits/limit-names.ts";
import type { ResolverPaths } from "./network/read-resolver-files.ts";

/**
 * What a wasm process is told, as JSON in the "wasm" request (src/zygote/request.ts). The descriptors that come with it are, in
 * this order: stdin, stdout, stderr, the go pipe's read end, the status pipe's write end, listening sockets.
 */
export interface WasmConfig {
  readonly id: string;
  /** How much it says on its guest's stderr; off when absent. */
  readonly log?: LogLevel;
  readonly workload: Workload;
  readonly grant: GrantPlan;
  /** Bytes of its call stack, and of each of its threads'; what RLIMIT_STACK allows when absent. */
  readonly stackBytes?: number | undefined;
  /** How many listening sockets come with the request: the grant's, then that of an http component. */
  readonly listeners: number;
  readonly isolation: WasmIsolation;
  /** Where an http component is served. */
  readonly http: HttpPlan;
  /** What is not said is as defaultHttpLimits (http/limits.ts) have it. */
  readonly httpLimits?: Partial<HttpLimits>;
  /** What names are looked up in, of a grant with a network. */
  readonly resolver: ResolverPaths;
}

/**
 * A port on every address of the process's network, or a listening socket, by its place among those of the request; then stderr is told
 * the address once it is served there.
 */
export type HttpPlan = { readonly port: number } | { readonly listener: number; readonly announce: string };

/** A grant (grant.ts) before anything of it is open. Its stdio and listening sockets are descriptors of the request. */
export interface GrantPlan extends Omit<Grant, "preopens" | "stdio" | "listeners"> {
  readonly preopens: readonly PreopenPlan[];
  /** What the guest gets of the request's listening sockets: how many, from the first on. */
  readonly listeners: number;
}

/** A directory that the guest starts with, and what is mounted on it. */
export interface PreopenPlan {
  readonly guestPath: string;
  readonly source: MountSource;
  readonly readonly: boolean;
  /** Targets are paths beneath it. */
  readonly mounts: readonly WasmMount[];
}

/** What is run. Paths are on the host and are read before the process gives up its right to. */
export type Workload =
  | {
      readonly form: "module";
      readonly file: LocatedFile;
      /** sha256:…, where somebody trusted has said it. */
      readonly digest?: string | undefined;
      readonly export: string | undefined;
    }
  | { readonly form: "component"; readonly transpiled: string; readonly export: string | undefined };

/** A directory, and a path that is resolved in it: arguments of `native.openInRoot`. */
export type LocatedFile = readonly [root: string, path: string];

/** By what is trusted and, beneath it, a path that an image or another container may have filled with symlinks. */
export type WorkloadFile =
  | { readonly path: string }
  | { readonly inRootfs: string }
  | { readonly mountSource: string; readonly inMount: string };

export function locate(file: WorkloadFile, rootfs: string): LocatedFile {
  if ("inRootfs" in file) return [rootfs, file.inRootfs];
  if ("inMount" in file) return [file.mountSource, file.inMount];
  return ["/", file.path];
}

export type MountSource =
  | { readonly bind: string; readonly recursive: boolean }
  | { readonly tmpfs: readonly string[] };

/** A mount of config.json that the guest gets. */
export interface WasmMount {
  readonly target: string;
  readonly source: MountSource;
  readonly readonly: boolean;
}

export interface WasmIsolation {
  readonly cgroupFiles: readonly string[];
  readonly oomScoreAdj: number | undefined;
  /** [resource number, soft, hard], the limits as decimal strings: JSON has no 64-bit integers. */
  readonly rlimits: readonly (readonly [number, string, string])[];
  /** Paths of namespaces to enter. */
  readonly joinNamespaces: readonly string[];
  /** CLONE_NEW* flags. */
  readonly unshare: number;
  readonly hostname: string | undefined;
  readonly umask: number;
  /** Whose rights it has; undefined: its parent's, without the capabilities. */
  readonly user:
    | { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] }
    | undefined;
}

/**
 * The status pipe: what a wasm process says about itself, one JSON line each. A pipe that ends without `exit` means that it was
 * killed. The exit status does not depend on who its parent is.
 *
 *     wasm process                          shim
 *       isolate, compile
 *       {"ready":true} ─────────────────▶   Create is answered
 *                     ◀───────────────── 1  Start (one byte on the go pipe; its end means: the shim is gone)
 *       _start …
 *       {"exit":0} ─────────────────────▶   Wait is answered once the pipe has ended
 *
 *       {"error":…,"code":…} instead of ready: Create fails with it
 */
export type StatusLine =
  | { readonly ready: true; readonly code?: CodeReport }
  /** `ran`: functions that are worth optimising, where the report said "afterwards". */
  | { readonly exit: number; readonly ran?: RanFunctions }
  /** `limit`: of the grant, when it is that which its guest would go beyond. */
  | { readonly error: string; readonly code: string; readonly limit?: LimitName };
