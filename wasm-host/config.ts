/**
 * What the shim tells a wasm process, as JSON in the "wasm" request (src/zygote/request.ts). The descriptors that come with it
 * are, in this order: stdin, stdout, stderr, the go pipe's read end, the status pipe's write end.
 */
export interface WasmConfig {
  readonly id: string;
  readonly workload: Workload;
  readonly args: readonly string[];
  /** KEY=value */
  readonly env: readonly string[];
  /** Absolute path of the mounted root file system. */
  readonly rootfs: string;
  readonly readonlyRootfs: boolean;
  readonly mounts: readonly WasmMount[];
  readonly isolation: WasmIsolation;
  /** Port that an http component is served on, on every address of the pod. */
  readonly httpPort: number;
}

/** What is run. Paths are on the host and are read before the process gives up its right to. */
export type Workload =
  | { readonly form: "module"; readonly file: WorkloadFile; readonly export: string | undefined }
  | { readonly form: "component"; readonly transpiled: string; readonly export: string | undefined };

/** By what is trusted and, beneath it, a path that an image or another container may have filled with symlinks. */
export type WorkloadFile =
  | { readonly path: string }
  | { readonly inRootfs: string }
  | { readonly mountSource: string; readonly inMount: string };

/** The directory that a workload's file is resolved in, and its path there: arguments of `native.openInRoot`. */
export function locate(file: WorkloadFile, rootfs: string): readonly [root: string, path: string] {
  if ("inRootfs" in file) return [rootfs, file.inRootfs];
  if ("inMount" in file) return [file.mountSource, file.inMount];
  return ["/", file.path];
}

/** A mount of config.json that the guest gets. */
export interface WasmMount {
  readonly target: string;
  readonly source:
    | { readonly bind: string; readonly recursive: boolean }
    | { readonly tmpfs: readonly string[] };
  readonly readonly: boolean;
}

export interface WasmIsolation {
  readonly cgroupFiles: readonly string[];
  readonly oomScoreAdj: number;
  /** [resource number, soft, hard], the limits as decimal strings: JSON has no 64-bit integers. */
  readonly rlimits: readonly (readonly [number, string, string])[];
  /** Paths of namespaces to enter. */
  readonly joinNamespaces: readonly string[];
  /** CLONE_NEW* flags. */
  readonly unshare: number;
  readonly hostname: string | undefined;
  readonly umask: number;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
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
  | { readonly ready: true }
  | { readonly exit: number }
  | { readonly error: string; readonly code: string };
