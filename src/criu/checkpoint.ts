import { spawn } from "node:child_process";
import { closeSync, existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RequestType } from "../api/gen/criu/rpc_pb.ts";
import type { Spec } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type CriuRequest, converse, type OnNotification } from "./conversation.ts";
import { describeStdio, externalFiles } from "./descriptors.ts";
import { externalMounts } from "./external-mounts.ts";
import { withLogExcerpt } from "./log-excerpt.ts";
import { readMountInfo } from "./mountinfo.ts";
import { namespaceKeys } from "./namespaces.ts";
import { type CriuDirectories, type CriuSettings, commonOptions, openDirectories } from "./settings.ts";

/** Beside criu's images: what the restore has to know (the first has runc's name and form). */
export const DESCRIPTORS = "descriptors.json";
export const MOUNTS = "tandem-mounts.json";
const LOG = "dump.log";

export interface CheckpointSettings extends CriuSettings {
  /** Directory of earlier images, relative to these; "" for none. */
  readonly parentPath: string;
  readonly leaveRunning: boolean;
  /** Memory only; the container runs on. */
  readonly preDump: boolean;
  readonly tcpSkipInFlight: boolean;
  readonly linkRemap: boolean;
  readonly pageServer: { readonly address: string; readonly port: number } | undefined;
  /** Told when lazy pages can be fetched. */
  readonly onReady?: () => void;
}

/** A container that runs, as criu needs to know it. */
export interface CheckpointedContainer {
  readonly pid: number;
  readonly rootfs: string;
  readonly spec: Spec;
  readonly cgroups: readonly string[];
}

/**
 * Writes a container's processes to disk; they have ended then, unless they are to be left running. On failure they run on.
 *
 * @param criu its path
 * @throws TandemError with the first error of criu's log
 */
export async function checkpoint(
  criu: string,
  container: CheckpointedContainer,
  settings: CheckpointSettings,
  signal: AbortSignal,
): Promise<void> {
  const directories = openDirectories(settings, true);
  try {
    await requireFeatures(criu, settings, signal);
    const request = dumpRequest(container, settings, directories);
    const onNotification: OnNotification = (script, _pid, fds) => {
      for (const fd of fds) closeSync(fd);
      if (script === "status-ready") settings.onReady?.();
    };
    await withLogExcerpt(directories.log(LOG), () => ask(criu, request, { signal, onNotification }));
  } finally {
    directories.close();
  }
}

function dumpRequest(
  container: CheckpointedContainer,
  settings: CheckpointSettings,
  directories: CriuDirectories,
): CriuRequest {
  const { pid, spec, rootfs, cgroups } = container;
  const options = {
    ...commonOptions(settings, spec),
    imagesDirFd: directories.images,
    ...(directories.work === undefined ? {} : { workDirFd: directories.work }),
    logFile: LOG,
    root: rootfs,
    pid,
    leaveRunning: settings.leaveRunning,
    tcpSkipInFlight: settings.tcpSkipInFlight,
    linkRemap: settings.linkRemap,
    ...freezer(cgroups),
    ...(settings.pageServer === undefined ? {} : { ps: settings.pageServer }),
    ...(settings.parentPath === "" ? {} : { parentImg: settings.parentPath, trackMem: true }),
  };
  if (settings.preDump) return { type: RequestType.PRE_DUMP, opts: { ...options, trackMem: true } };
  const stdio = describeStdio(pid);
  const cgroupNamespace = spec.linux?.namespaces?.some(({ type }) => type === "cgroup") === true;
  const mounts = externalMounts(readMountInfo(pid), readMountInfo("self"), cgroupNamespace);
  note(settings.imagePath, DESCRIPTORS, stdio);
  note(settings.imagePath, MOUNTS, mounts);
  return {
    type: RequestType.DUMP,
    opts: {
      ...options,
      external: [...externalFiles(stdio), ...externalNamespaces(spec)],
      extMnt: mounts.map(({ mountPoint }) => ({ key: mountPoint, val: mountPoint })),
    },
  };
}

/** criu stops what runs by the freezer, if it knows it, and by ptrace otherwise. */
function freezer(cgroups: readonly string[]): { freezeCgroup?: string } {
  const directory =
    cgroups.find((path) => existsSync(join(path, "freezer.state"))) ??
    cgroups.find((path) => existsSync(join(path, "cgroup.freeze")));
  return directory === undefined ? {} : { freezeCgroup: directory };
}

/** Network and pid namespaces that were there before the container, and will be at its restore: "net[inode]:name". */
function externalNamespaces(spec: Spec): string[] {
  return (spec.linux?.namespaces ?? []).flatMap(({ type, path }) => {
    const key = namespaceKeys[type];
    if (key === undefined || path === undefined || path === "") return [];
    return [`${key.kind}[${statSync(path).ino}]:${key.name}`];
  });
}

function note(directory: string, name: string, value: unknown): void {
  writeFileSync(join(directory, name), JSON.stringify(value), { mode: 0o600 });
}

/** @throws TandemError unimplemented naming what the kernel lacks */
async function requireFeatures(
  criu: string,
  { preDump, lazyPages, parentPath }: CheckpointSettings,
  signal: AbortSignal,
): Promise<void> {
  const memTrack = preDump || parentPath !== "";
  if (!memTrack && !lazyPages) return;
  const request = { type: RequestType.FEATURE_CHECK, features: { memTrack, lazyPages } };
  const { features } = await ask(criu, request, { signal, onNotification: () => undefined });
  const missing = [
    ...(memTrack && features?.memTrack !== true ? ["memory tracking (CONFIG_MEM_SOFT_DIRTY)"] : []),
    ...(lazyPages && features?.lazyPages !== true ? ["lazy pages (userfaultfd)"] : []),
  ];
  if (missing.length > 0)
    throw new TandemError("unimplemented", `criu: this kernel lacks ${missing.join(" and ")}`);
}

/** One question to a criu of its own. */
async function ask(criu: string, request: CriuRequest, options: Parameters<typeof converse>[2]) {
  const [ours, theirs] = native.socketpair();
  const child = spawn(criu, ["swrk", "3"], { stdio: ["ignore", "ignore", "ignore", theirs] });
  closeSync(theirs);
  const ended = new Promise<void>((resolve, reject) => {
    child.once("exit", () => resolve());
    child.once("error", (error) => reject(TandemError.from(error, criu)));
  });
  // Whether it could be executed at all is looked at below.
  ended.catch(() => undefined);
  let done = false;
  try {
    const response = await converse(ours, request, options);
    done = request.type === RequestType.DUMP;
    return response;
  } finally {
    closeSync(ours);
    // After a dump it ends by itself; otherwise it may wait for more, or hang.
    if (!done) child.kill("SIGKILL");
    await ended;
  }
}
