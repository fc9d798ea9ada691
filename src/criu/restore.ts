import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { RequestType } from "../api/gen/criu/rpc_pb.ts";
import type { Spec } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { DESCRIPTORS, MOUNTS } from "./checkpoint.ts";
import { type CriuRequest, converse } from "./conversation.ts";
import { inheritedStdio } from "./descriptors.ts";
import { type ExternalMount, isBelow, rest } from "./external-mounts.ts";
import { makeMountPoint, resolveInside } from "./inside.ts";
import { withLogExcerpt } from "./log-excerpt.ts";
import { joinableNamespaces, namespaceKeys } from "./namespaces.ts";
import { type CriuSettings, commonOptions, openDirectories } from "./settings.ts";

const LOG = "restore.log";
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MNT_DETACH = 2;
/** In criu: 0, 1 and 2 are the container's, 3 is the socket. */
const FIRST_EXTRA = 4;

export interface RestoreSettings extends CriuSettings {
  /** TYPE:NAME */
  readonly lsmProfile: string | undefined;
  readonly lsmMountContext: string | undefined;
}

/** A container that is to be, as criu needs to know it. */
export interface RestoredContainer {
  readonly spec: Spec;
  readonly rootfs: string;
  /** A directory of the runtime's own in which nothing is. */
  readonly directory: string;
}

/** How criu is executed, and what of it concerns the caller. */
export interface RestoreHost {
  /** Executes `criu swrk 3` as a sibling of what is to be restored, with these descriptors from 3 on. */
  execute(fds: readonly number[]): Promise<{ readonly pid: number }>;
  /** Puts criu, and so what it restores, into the container's cgroup. */
  enterCgroup(pid: number): void | Promise<void>;
  /** The namespaces are there, the processes are not yet. */
  onNamespaces(pid: number): Promise<void>;
  /** A terminal whose other side was outside; the descriptor is the callee's. */
  onTerminal(master: number): void;
}

/** Restores a container's processes and lets them run. @returns pid of its init @throws TandemError */
export async function restore(
  container: RestoredContainer,
  settings: RestoreSettings,
  host: RestoreHost,
  signal: AbortSignal,
): Promise<number> {
  const mounts = sourcesOf(container, readNote<ExternalMount[]>(settings.imagePath, MOUNTS));
  prepare(container, mounts);
  const directories = openDirectories(settings, false);
  const root = join(container.directory, "criu-root");
  const opened: number[] = [];
  let mounted = false;
  mkdirSync(root, { mode: 0o700 });
  try {
    // criu wants a mount of its own for a root.
    native.mount(container.rootfs, root, "", MS_BIND | MS_REC, "");
    mounted = true;
    const namespaces = openNamespaces(container.spec, opened);
    const options = {
      ...commonOptions(settings, container.spec),
      imagesDirFd: directories.images,
      ...(directories.work === undefined ? {} : { workDirFd: directories.work }),
      logFile: LOG,
      root,
      evasiveDevices: true,
      rstSibling: true,
      ...(settings.lsmProfile === undefined ? {} : { lsmProfile: settings.lsmProfile }),
      ...(settings.lsmMountContext === undefined ? {} : { lsmMountContext: settings.lsmMountContext }),
      extMnt: mounts.map(({ mountPoint, source }) => ({ key: mountPoint, val: source })),
      inheritFd: [...inheritedStdio(readNote<string[]>(settings.imagePath, DESCRIPTORS)), ...namespaces],
      joinNs: joins(container.spec),
    };
    const request = { type: RequestType.RESTORE, opts: options };
    return await withLogExcerpt(directories.log(LOG), () => converseWith(host, opened, request, signal));
  } finally {
    if (mounted) native.unmount(root, MNT_DETACH);
    rmdirSync(root);
    for (const fd of opened) closeSync(fd);
    directories.close();
  }
}

async function converseWith(
  host: RestoreHost,
  extra: readonly number[],
  request: CriuRequest,
  signal: AbortSignal,
): Promise<number> {
  const [ours, theirs] = native.socketpair();
  try {
    const { pid } = await host.execute([theirs, ...extra]).finally(() => closeSync(theirs));
    await host.enterCgroup(pid);
    const opts = { ...request.opts, cgRoot: cgroupRoots(pid) };
    const response = await converse(ours, { ...request, opts } as CriuRequest, {
      signal,
      onNotification: async (script, initPid, fds) => {
        const [terminal, ...others] = fds;
        for (const fd of others) closeSync(fd);
        if (script === "orphan-pts-master" && terminal !== undefined) host.onTerminal(terminal);
        else if (terminal !== undefined) closeSync(terminal);
        if (script === "setup-namespaces") await host.onNamespaces(initPid);
      },
    });
    if (response.restore === undefined) throw new TandemError("internal", "criu: restored no process");
    return response.restore.pid;
  } finally {
    closeSync(ours);
  }
}

/** "4:cpu,cpuacct:/path" of /proc/<pid>/cgroup: a restored process goes where criu is, whatever the images say. */
function cgroupRoots(pid: number): { ctrl: string; path: string }[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  return lines.flatMap((line) => {
    const [, controllers = "", ...path] = line.split(":");
    return controllers.split(",").map((ctrl) => ({ ctrl, path: path.join(":") }));
  });
}

function readNote<T>(directory: string, name: string): T {
  try {
    return JSON.parse(readFileSync(join(directory, name), "utf8")) as T;
  } catch (error) {
    throw TandemError.from(error, `checkpoint ${directory}: ${name}`);
  }
}

/** This config.json may have other sources for the same mount points; what it does not name comes from where it came from. */
function sourcesOf({ spec, rootfs }: RestoredContainer, noted: readonly ExternalMount[]): ExternalMount[] {
  const binds = (spec.mounts ?? []).flatMap(({ destination, source, type, options = [] }) =>
    source !== undefined && (type === "bind" || options.includes("bind") || options.includes("rbind"))
      ? [{ destination: resolveInside(rootfs, destination), source }]
      : [],
  );
  return noted.map(({ mountPoint, source }) => {
    const bind = binds.findLast(({ destination }) => isBelow(mountPoint, destination));
    return {
      mountPoint,
      source: bind === undefined ? source : bind.source + rest(mountPoint, bind.destination),
    };
  });
}

/** criu restores a tmpfs with the directories in it; on everything else a mount point may be missing. */
function prepare({ spec, rootfs }: RestoredContainer, external: readonly ExternalMount[]): void {
  const own = (spec.mounts ?? [])
    .filter(({ type }) => type !== "bind")
    .map(({ destination }) => resolveInside(rootfs, destination));
  const isCovered = (path: string): boolean =>
    own.some((mountPoint) => mountPoint !== path && isBelow(path, mountPoint));
  for (const mountPoint of own) if (!isCovered(mountPoint)) makeMountPoint(rootfs, mountPoint, "/");
  for (const { mountPoint, source } of external)
    if (!own.includes(mountPoint) && !isCovered(mountPoint)) makeMountPoint(rootfs, mountPoint, source);
}

function openNamespaces(spec: Spec, opened: number[]): { key: string; fd: number }[] {
  return (spec.linux?.namespaces ?? []).flatMap(({ type, path }) => {
    const key = namespaceKeys[type];
    if (key === undefined || path === undefined || path === "") return [];
    opened.push(openSync(path, "r"));
    return [{ key: key.name, fd: FIRST_EXTRA + opened.length - 1 }];
  });
}

/** @throws TandemError unimplemented for one that criu cannot enter */
function joins(spec: Spec): { ns: string; nsFile: string }[] {
  return (spec.linux?.namespaces ?? []).flatMap(({ type, path }) => {
    if (path === undefined || path === "" || namespaceKeys[type] !== undefined) return [];
    const ns = joinableNamespaces[type];
    if (ns === undefined)
      throw new TandemError("unimplemented", `linux.namespaces ${type} ${path}: criu cannot enter it`);
    return [{ ns, nsFile: path }];
  });
}
