import { openSync, statSync } from "node:fs";
import { native } from "../src/native.ts";
import type { IsolateOptions } from "../src/native-surface.ts";
import type { WasmConfig, WasmMount } from "./config.ts";

/** What the zygote made ahead for every wasm process. */
export interface WasmHost {
  /** A mount namespace with an empty root (native.createEmptyMountNamespace). */
  readonly emptyMountNamespace: number;
  /** The seccomp filter of a wasm process (src/isolation/wasm-seccomp.ts). */
  readonly filter: Buffer;
}

/**
 * Puts this process behind the kernel's wall, with no descriptors but stdio and `keep`. Returns one of the guest's root directory.
 */
export function enterIsolation(host: WasmHost, config: WasmConfig, keep: readonly number[]): number {
  return native.isolate(isolateOptions(host, config, keep)).root;
}

/** Everything that `native.isolate` wants, opened while the host can still be seen. The descriptors are the caller's. */
export function isolateOptions(
  host: WasmHost,
  config: WasmConfig,
  keep: readonly number[] = [],
): IsolateOptions {
  const { isolation, rootfs, readonlyRootfs: readonly } = config;
  const root = { fd: native.cloneMount(rootfs, { recursive: true, readonly }), target: "/", directory: true };
  return {
    cgroupFiles: isolation.cgroupFiles,
    oomScoreAdj: isolation.oomScoreAdj,
    rlimits: isolation.rlimits.map(([resource, soft, hard]) => [resource, BigInt(soft), BigInt(hard)]),
    joinNamespaces: isolation.joinNamespaces.map((path) => openSync(path, "r")),
    emptyMountNamespace: host.emptyMountNamespace,
    unshare: isolation.unshare,
    hostname: isolation.hostname,
    mounts: [root, ...config.mounts.map(openMount)],
    umask: isolation.umask,
    user: isolation.user,
    keepDescriptors: keep,
    filter: host.filter,
  };
}

function openMount({ source, target, readonly }: WasmMount): IsolateOptions["mounts"][number] {
  if ("tmpfs" in source) return { fd: native.createTmpfs(source.tmpfs, readonly), target, directory: true };
  const directory = statSync(source.bind).isDirectory();
  return { fd: native.cloneMount(source.bind, { recursive: source.recursive, readonly }), target, directory };
}
