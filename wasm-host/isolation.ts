import { closeSync, constants, openSync, statSync } from "node:fs";
import type { GuestCode } from "../src/code/guest-code.ts";
import { shown, TandemError } from "../src/errors.ts";
import { kernelFilesystemAt } from "../src/isolation/kernel-filesystems.ts";
import type { SocketUse } from "../src/isolation/wasm-sockets.ts";
import { native } from "../src/native.ts";
import type { IsolateOptions, TcpPorts } from "../src/native-surface.ts";
import type { MountSource, PreopenPlan, WasmConfig } from "./config.ts";
import type { Limits, Preopen } from "./grant.ts";
import type { ThreadHost } from "./threads/thread-data.ts";

/** What the zygote made ahead for every wasm process. */
export interface WasmHost {
  /** A mount namespace with an empty root (native.createEmptyMountNamespace). */
  readonly emptyMountNamespace: number;
  /** The seccomp filters of a wasm process, by what it needs of sockets (src/isolation/wasm-seccomp.ts). */
  readonly filters: Readonly<Record<SocketUse, Buffer>>;
  /** Optimised code of modules; undefined where there is none to be had. */
  readonly code?: { forGuest(): GuestCode } | undefined;
  /** Whether the mounts that this process sees belong to somebody with more rights: then only a copy can be cloned from. */
  readonly foreignMounts: boolean;
  /** The program of a guest's threads: nothing can be read any more when the first of them is made. */
  readonly threadProgram: ThreadHost["program"];
}

/** What a process keeps behind the wall. */
export interface ProcessNeeds {
  /** Descriptors, besides stdio. */
  readonly keep: readonly number[];
  readonly sockets: SocketUse;
  readonly tcpPorts: TcpPorts;
}

/** Where the grant's file system is behind the wall (native/addon/isolate.cc). */
const INSIDE = "/fs";

/**
 * Puts this process behind the kernel's wall, with no descriptors but stdio and what it needs. Returns the preopens, open.
 * @throws TandemError, errors of the system: the wall cannot be built, or a directory cannot be opened
 */
export function enterIsolation(host: WasmHost, config: WasmConfig, needs: ProcessNeeds): Preopen[] {
  const { root } = native.isolate(isolateOptions(host, config, needs));
  const { preopens } = config.grant;
  const places = placesOf(preopens);
  // Then it is none of them, and nothing is in it.
  if (preopens.length !== 1) closeSync(root);
  return preopens.map(({ guestPath, readonly, mounts }, index) => ({
    fd: openPlace(root, places[index] ?? "/"),
    guestPath,
    // A tree that is read-only may have something mounted on it that is not; then only the mounts say.
    readonly: readonly && mounts.length === 0,
  }));
}

const { O_PATH, O_DIRECTORY } = constants as typeof constants & { readonly O_PATH: number };

function openPlace(root: number, place: string): number {
  return place === "/" ? root : openSync(INSIDE + place, O_DIRECTORY | O_PATH);
}

/** A single preopen is the whole file system; several have a directory each, in one that nobody can write to. */
function placesOf(preopens: readonly PreopenPlan[]): string[] {
  return preopens.length === 1 ? ["/"] : preopens.map((_, index) => `/${index}`);
}

/** Everything that `native.isolate` wants, opened while the host can still be seen. The descriptors are the caller's. */
export function isolateOptions(
  host: WasmHost,
  config: WasmConfig,
  { keep, sockets, tcpPorts }: ProcessNeeds,
): IsolateOptions {
  const { isolation, grant } = config;
  const places = placesOf(grant.preopens);
  if (host.foreignMounts) native.copyMounts();
  return {
    cgroupFiles: isolation.cgroupFiles,
    oomScoreAdj: isolation.oomScoreAdj,
    rlimits: processLimits(isolation.rlimits, grant.limits),
    joinNamespaces: isolation.joinNamespaces.map((path) => openSync(path, "r")),
    emptyMountNamespace: host.emptyMountNamespace,
    unshare: isolation.unshare,
    hostname: isolation.hostname,
    mounts: grant.preopens.flatMap((preopen, index) => openPreopen(preopen, places[index] ?? "/")),
    umask: isolation.umask,
    user: isolation.user,
    keepDescriptors: keep,
    filter: host.filters[sockets],
    tcpPorts,
  };
}

/** asm-generic/resource.h */
const RLIMIT_CPU = 0;

/** A limit of processor time is the kernel's, too: a second above the host's own, so that this one has the word. */
function processLimits(
  rlimits: WasmConfig["isolation"]["rlimits"],
  { cpuMs }: Limits = {},
): IsolateOptions["rlimits"] {
  const all = rlimits.map(([resource, soft, hard]) => [resource, BigInt(soft), BigInt(hard)] as const);
  if (cpuMs === undefined) return all;
  const most = BigInt(Math.ceil(cpuMs / 1000) + 1);
  const lower = (limit: bigint): bigint => (limit > most ? most : limit);
  const [, soft, hard] = all.find(([resource]) => resource === RLIMIT_CPU) ?? [RLIMIT_CPU, most, most];
  return [...all.filter(([resource]) => resource !== RLIMIT_CPU), [RLIMIT_CPU, lower(soft), lower(hard)]];
}

type OpenMount = IsolateOptions["mounts"][number];

/**
 * The tree itself, then what is mounted on it.
 * @throws TandemError invalid_argument for a directory of the kernel's own
 */
function openPreopen({ source, readonly, mounts }: PreopenPlan, place: string): OpenMount[] {
  if ("bind" in source) refuseKernelFilesystem(source.bind);
  // Where nothing is mounted on it no place need be made: then it is read-only from the start.
  const seal = readonly && mounts.length > 0;
  const own = { ...openMount(source, readonly && !seal), target: place, seal };
  const below = place === "/" ? "" : place;
  return [
    own,
    ...mounts.map((mount) => ({ ...openMount(mount.source, mount.readonly), target: below + mount.target })),
  ];
}

function refuseKernelFilesystem(path: string): void {
  const type = kernelFilesystemAt(path);
  if (type === undefined) return;
  throw new TandemError(
    "invalid_argument",
    `directory ${shown(path)}: is of the kernel's own file system ${type}, which no guest gets`,
  );
}

function openMount(source: MountSource, readonly: boolean): Omit<OpenMount, "target"> {
  if ("tmpfs" in source) return { fd: native.createTmpfs(source.tmpfs, readonly), directory: true };
  const directory = statSync(source.bind).isDirectory();
  return { fd: native.cloneMount(source.bind, { recursive: source.recursive, readonly }), directory };
}
