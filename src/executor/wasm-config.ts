import { posix } from "node:path";
import {
  locate,
  type MountSource,
  type PreopenPlan,
  type WasmConfig,
  type WasmIsolation,
  type WasmMount,
  type Workload,
} from "../../wasm-host/config.ts";
import { logOf } from "../../wasm-host/debug/log-level.ts";
import { machineResolver } from "../../wasm-host/network/read-resolver-files.ts";
import type { Spec, SpecMount, SpecProcess } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { applySettings, httpLimitsOf } from "../grant/apply-settings.ts";
import { mergeSettings, noSettings, type OperatorSettings } from "../grant/pod-settings.ts";
import { joinFiles } from "../isolation/cgroup.ts";
import { isKernelFilesystem } from "../isolation/kernel-filesystems.ts";
import type { CreateRequest } from "./executor.ts";
import type { WasmSelection } from "./select.ts";
import { refuseForWasm } from "./wasm-refusals.ts";

/** sched.h */
const CLONE_NEWCGROUP = 0x02000000;
const CLONE_NEWUTS = 0x04000000;
const CLONE_NEWIPC = 0x08000000;
const CLONE_NEWNET = 0x40000000;

const DEFAULT_HTTP_PORT = 8080;

/**
 * config.json → what a wasm process is told. The image's rootfs is granted at `/`, each bind and tmpfs mount at its
 * destination with its ro/rw; nothing else of the host, unless the operator's and the pod's settings say otherwise.
 *
 * @throws TandemError naming the property that a wasm container cannot honour; as `mergeSettings` does
 */
export function toWasmConfig(
  request: CreateRequest,
  selection: WasmSelection,
  transpiled: string | undefined,
  operator: OperatorSettings = noSettings,
): WasmConfig {
  const { spec } = request;
  const { root, process } = spec;
  if (root === undefined) throw new TandemError("invalid_argument", "root: is missing");
  if (process === undefined) throw new TandemError("invalid_argument", "process: is missing");
  refuseForWasm(spec);
  const rootfs: PreopenPlan = {
    guestPath: "/",
    source: { bind: request.rootfs, recursive: true },
    readonly: root.readonly === true,
    mounts: (spec.mounts ?? []).flatMap((mount) => toWasmMount(mount) ?? []),
  };
  const settings = mergeSettings(operator, spec.annotations ?? {});
  const env = (process.env ?? []).map(splitVariable);
  const spoken = { args: process.args ?? [], env, root: rootfs };
  return {
    id: request.id,
    ...logOf(env.findLast(([name]) => name === "TANDEM_LOG")?.[1]),
    workload: toWorkload(selection, request.rootfs, transpiled),
    grant: applySettings(spoken, settings),
    listeners: 0,
    isolation: toIsolation(spec, process, joinFiles(request.cgroup.entrance())),
    http: { port: settings.values["http-port"] ?? DEFAULT_HTTP_PORT },
    httpLimits: httpLimitsOf(settings.values),
    resolver: {
      resolvConf: mountedFile(spec.mounts, machineResolver.resolvConf),
      hosts: mountedFile(spec.mounts, machineResolver.hosts),
    },
  };
}

/** What a bind mount puts at a path of the container, as CRI and Docker do; else the machine's own. Never the image's. */
function mountedFile(mounts: readonly SpecMount[] | undefined, path: string): string {
  const mount = mounts?.findLast(({ destination }) => posix.normalize(destination) === path);
  return mount !== undefined && isBind(mount) ? (mount.source ?? path) : path;
}

function isBind({ type, options = [] }: SpecMount): boolean {
  return type === "bind" || options.includes("bind") || options.includes("rbind");
}

function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function toWorkload(selection: WasmSelection, rootfs: string, transpiled: string | undefined): Workload {
  const entry = selection.export;
  if (selection.form === "module")
    return {
      form: "module",
      file: locate(selection.module, rootfs),
      digest: "path" in selection.module ? selection.module.digest : undefined,
      export: entry,
    };
  if (transpiled === undefined) throw new TandemError("internal", "component without its transpiled form");
  return { form: "component", transpiled, export: entry };
}

function toWasmMount(mount: SpecMount): WasmMount | undefined {
  const { destination } = mount;
  const type = mount.type ?? "";
  const options = mount.options ?? [];
  const readonly = options.includes("ro") || options.includes("rro");
  const bind = isBind(mount);
  if (destination === "/dev" || destination.startsWith("/dev/")) {
    // /dev/shm and the termination log are binds into a /dev that a guest does not have.
    return bind && destination !== "/dev/shm"
      ? { target: destination, source: bindOf(mount, options), readonly }
      : undefined;
  }
  if (bind) return { target: destination, source: bindOf(mount, options), readonly };
  if (isKernelFilesystem(type)) return undefined;
  if (type === "tmpfs") return { target: destination, source: { tmpfs: tmpfsOptions(options) }, readonly };
  throw new TandemError(
    "invalid_argument",
    `mounts: ${destination}: type ${type} cannot be granted to a wasm container`,
  );
}

function bindOf(mount: SpecMount, options: readonly string[]): MountSource {
  const { source } = mount;
  if (source === undefined)
    throw new TandemError("invalid_argument", `mounts: ${mount.destination}: bind without a source`);
  return { bind: source, recursive: options.includes("rbind") };
}

function tmpfsOptions(options: readonly string[]): readonly string[] {
  return options.filter((option) => /^(size|mode|uid|gid|nr_inodes|nr_blocks)=/.test(option));
}

function toIsolation(spec: Spec, process: SpecProcess, cgroupFiles: readonly string[]): WasmIsolation {
  const { joinNamespaces, unshare } = toNamespaces(spec);
  return {
    cgroupFiles,
    oomScoreAdj: process.oomScoreAdj ?? 0,
    rlimits: (process.rlimits ?? []).map((limit) => [
      resourceNumber(limit.type),
      String(limit.soft),
      String(limit.hard),
    ]),
    joinNamespaces,
    unshare,
    // A hostname without a namespace of its own would rename the host.
    hostname: (unshare & CLONE_NEWUTS) === 0 ? undefined : spec.hostname,
    umask: process.user?.umask ?? 0o022,
    user: {
      uid: process.user?.uid ?? 0,
      gid: process.user?.gid ?? 0,
      additionalGids: process.user?.additionalGids ?? [],
    },
  };
}

const namespaceFlags: Readonly<Record<string, number>> = {
  network: CLONE_NEWNET,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  cgroup: CLONE_NEWCGROUP,
};

function toNamespaces(spec: Spec): { joinNamespaces: string[]; unshare: number } {
  const joinNamespaces: string[] = [];
  // Own ipc always: a guest shares memory with nobody unless the pod says so.
  let unshare = CLONE_NEWIPC;
  for (const { type, path } of spec.linux?.namespaces ?? []) {
    if (type === "mount" || type === "pid") continue; // Always its own: nothing is gained by sharing them with a guest.
    const flag = namespaceFlags[type];
    if (flag === undefined) {
      throw new TandemError("unimplemented", `linux.namespaces: ${type}: not for a wasm container`);
    }
    if (path === undefined || path === "") unshare |= flag;
    else {
      joinNamespaces.push(path);
      unshare &= ~flag;
    }
  }
  return { joinNamespaces, unshare };
}

/** asm-generic/resource.h */
const resources: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
};

function resourceNumber(name: string): number {
  const number = resources[name];
  if (number === undefined)
    throw new TandemError("invalid_argument", `process.rlimits: unknown type ${name}`);
  return number;
}
