import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import type { Stdio } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import { encodePlan } from "../isolation/encode.ts";
import { type NamespacePlan, namespaceFlags } from "../isolation/namespaces.ts";
import type { Step } from "../isolation/steps.ts";
import { userNamespaceError } from "../isolation/user-namespace.ts";
import { native } from "../native.ts";
import type { SpawnOptions } from "../native-surface.ts";
import { InitProcess } from "./init-process.ts";
import { InitSocket } from "./init-socket.ts";

/** fcntl.h; Node has no name for it. */
export const O_PATH = 0o10000000;

/** A namespace to enter: its descriptor, its CLONE_NEW* flag and who asks for it. */
export interface Join {
  readonly fd: number;
  readonly type: number;
  readonly property: string;
}

export interface SpawnRequest {
  /** container-init, sealed. */
  readonly executable: number;
  /** Absent with a terminal. */
  readonly stdio: Stdio | undefined;
  /** CLONE_NEW* flags. */
  readonly newNamespaces: number;
  readonly joins: readonly Join[];
  /** The process is in it before it is anything else. */
  readonly cgroup: Pick<Cgroup, "unit" | "entrance" | "add">;
  readonly onListener: (fd: number) => void;
  /** The plan's descriptors, where it is known before there is a process: it need not wait for it then. */
  readonly plan?: readonly number[];
  /** Set before it is born, where whoever spawns it could not do so later. */
  readonly oomScoreAdj?: number | undefined;
}

/** Clones container-init: the addon as this process's child, or the client of the command line as its own. */
export type Cloner = (options: CloneOptions) => Promise<SpawnedInit> | SpawnedInit;

/** What is cloned; without `stdio` the process has a terminal. */
export interface CloneOptions extends Omit<SpawnOptions, "stdio"> {
  readonly stdio: Stdio | undefined;
  /** Only the command line's client takes it. */
  readonly oomScoreAdj: number | undefined;
}

export interface SpawnedInit {
  readonly pid: number;
  readonly pidfd: number;
}

/** Clones as a child of this process. */
export function cloneHere(options: CloneOptions): SpawnedInit {
  const { stdio } = options;
  if (stdio !== undefined)
    return native.spawnInit({ ...options, stdio: [stdio.stdin, stdio.stdout, stdio.stderr] });
  const none = openSync("/dev/null", "r+");
  try {
    return native.spawnInit({ ...options, stdio: [none, none, none] });
  } finally {
    closeSync(none);
  }
}

/** Starts container-init; it waits for its plan. @throws TandemError when a namespace cannot be made or joined */
export async function spawnInit(clone: Cloner, request: SpawnRequest): Promise<InitProcess> {
  try {
    return await spawnInto(clone, request);
  } catch (error) {
    const { unit } = request.cgroup;
    if (unit === undefined || !(error instanceof TandemError && error.code === "permission_denied"))
      throw error;
  }
  return await spawnBeside(clone, request);
}

/**
 * The kernel lets a user's process from one cgroup into another only when their common parent is that user's (cgroup-v2.rst,
 * "Delegation Containment"): it is not, between a login session and the user's systemd. systemd may move it.
 */
async function spawnBeside(clone: Cloner, request: SpawnRequest): Promise<InitProcess> {
  const { plan, cgroup, ...rest } = request;
  const init = await spawnInto(clone, { ...rest, cgroup: nowhere });
  try {
    await cgroup.add(init.pid);
    if (plan !== undefined) init.sendPlan(plan);
    return init;
  } catch (error) {
    await init.destroy();
    throw error;
  }
}

/** To be born where the parent is. */
export const nowhere: SpawnRequest["cgroup"] = {
  unit: undefined,
  entrance: () => ({ taskFiles: [], unified: undefined, unifiedLimits: false }),
  add: () => undefined,
};

async function spawnInto(clone: Cloner, request: SpawnRequest): Promise<InitProcess> {
  const [ours, theirs] = native.socketpair();
  const socket = new InitSocket(ours);
  const { taskFiles, unified } = request.cgroup.entrance();
  let cgroupDirectory: number | undefined;
  try {
    if (unified !== undefined) cgroupDirectory = openSync(unified, O_PATH | constants.O_DIRECTORY);
    if (request.plan !== undefined) socket.send("plan", request.plan);
    const spawned = await clone({
      cgroupFiles: taskFiles,
      cgroupDirectory,
      executable: request.executable,
      stdio: request.stdio,
      socket: theirs,
      newNamespaces: request.newNamespaces,
      joinNamespaces: request.joins,
      oomScoreAdj: request.oomScoreAdj,
    });
    return new InitProcess(spawned, socket, request.onListener);
  } catch (error) {
    socket.close();
    const kind = /^setns (\w+)/.exec((error as Error).message)?.[1];
    const join = request.joins.find(({ property }) => kind !== undefined && property.endsWith(` ${kind}`));
    if (join !== undefined) throw TandemError.from(error, join.property);
    // A v1 cgroup without memory takes no process in.
    const other = (error as NodeJS.ErrnoException).code === "ENOMEM" ? "linux.resources.memory.limit, " : "";
    const property = `${other}linux.namespaces, linux.cgroupsPath`;
    throw (request.newNamespaces & namespaceFlags.user) === 0
      ? TandemError.from(error, property)
      : userNamespaceError(error, property);
  } finally {
    closeSync(theirs);
    if (cgroupDirectory !== undefined) closeSync(cgroupDirectory);
  }
}

/**
 * Opens the namespaces that are given by path; the descriptors are added to `opened`.
 *
 * @throws TandemError naming the namespace
 */
export function openJoins({ joins }: NamespacePlan, opened: number[]): Join[] {
  return joins.map(({ type, path, property }) => {
    let fd: number;
    try {
      // O_NONBLOCK: nobody may ever write to what is no namespace but a FIFO.
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      throw TandemError.from(error, property);
    }
    opened.push(fd);
    return { fd, type: namespaceFlags[type], property };
  });
}

/** Set from outside: only the machine's root may lower it. */
export function writeOomScore(pid: number, score: number | undefined): void {
  if (score === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch (error) {
    throw oomScoreError(error);
  }
}

function oomScoreError(error: unknown): TandemError {
  return (error as NodeJS.ErrnoException).code === "EACCES"
    ? new TandemError("permission_denied", "process.oomScoreAdj: only the machine's root may lower it", {
        cause: error,
      })
    : TandemError.from(error, "process.oomScoreAdj");
}

/**
 * Inside a user namespace nobody may raise a hard limit: the shim does it, as far as it may itself. The rest is for container-init
 * to do, in its time: it needs descriptors of its own until then.
 */
export function raiseLimits(pid: number, steps: readonly Step[], userNamespace: boolean): void {
  if (!userNamespace) return;
  const limits = steps.filter((step) => step.op === "rlimit");
  const own = limits.length > 0 ? ownLimits() : [];
  for (const step of limits) {
    const { soft = 0n, hard = 0n } = own[step.resource] ?? {};
    if (step.hard <= hard) continue;
    try {
      native.setResourceLimit(pid, step.resource, soft, step.hard);
    } catch (error) {
      throw TandemError.from(error, step.property);
    }
  }
}

/** By their numbers, in the order of which they are listed (fs/proc/base.c, lnames). */
function ownLimits(): { readonly soft: bigint; readonly hard: bigint }[] {
  const lines = readFileSync("/proc/self/limits", "latin1").trim().split("\n").slice(1);
  const toLimit = (text = "0"): bigint => (text === "unlimited" ? 2n ** 64n - 1n : BigInt(text));
  return lines.map((line) => {
    const [soft, hard] = line.slice(26).trim().split(/\s+/);
    return { soft: toLimit(soft), hard: toLimit(hard) };
  });
}

/** A plan as container-init gets it. */
export function memfdOf(steps: readonly Step[]): number {
  return native.memfd("plan", encodePlan(steps));
}
