import { closeSync, constants, openSync } from "node:fs";
import type { Spec, SpecProcess, SpecSeccomp } from "../bundle/spec.ts";
import type { Stdio } from "../bundle/stdio.ts";
import { TandemError } from "../errors.ts";
import { capabilityWarnings } from "../isolation/capabilities.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { CgroupHierarchy } from "../isolation/cgroup-mount.ts";
import { type NamespaceType, namespaceFiles, namespaceFlags } from "../isolation/namespaces.ts";
import { type ContainerPlan, planContainer } from "../isolation/plan.ts";
import { planExec } from "../isolation/plan-exec.ts";
import type { CompiledSeccomp } from "../isolation/process-steps.ts";
import { AT_ONCE, NO_FD } from "../isolation/steps.ts";
import { ownRights } from "../rights.ts";
import { type HookContainer, hookState, runHooks } from "./hooks.ts";
import type { InitProcess } from "./init-process.ts";
import { isOwnNamespace, readMachine } from "./machine.ts";
import { mapIds } from "./map-ids.ts";
import { openSource } from "./mount-sources.ts";
import { moveNetDevices } from "./net-devices.ts";
import { sendListener } from "./seccomp-agent.ts";
import { sharesMounts, unmountShared } from "./shared-mounts.ts";
import {
  type Cloner,
  memfdOf,
  O_PATH,
  openJoins,
  raiseLimits,
  spawnInit,
  writeOomScore,
} from "./spawn-init.ts";

/** What making a Linux process takes beside its specification. */
export interface LinuxHost {
  /** container-init as `native.sealExecutable` returned it; stays the caller's. */
  readonly executable: number;
  readonly clone: Cloner;
  /** The machine's hierarchies with the container's directory in each, for mounts of type cgroup. */
  readonly cgroupHierarchies: (cgroup: Cgroup) => readonly CgroupHierarchy[];
  readonly compileSeccomp: (seccomp: SpecSeccomp) => CompiledSeccomp;
  /** Runtime options NoPivotRoot and NoNewKeyring. */
  readonly noPivotRoot?: boolean;
  readonly noNewKeyring?: boolean;
  /** The terminal of a process is copied to the caller's, or to a pipe. */
  readonly relaysTerminal?: boolean;
  /** Hears of what fails nobody's request: a poststop hook, a capability that is none. */
  readonly warn: (error: TandemError) => void;
  /** What hooks without an environment of their own inherit. */
  readonly hookEnvironment?: ReadonlyMap<string, string>;
}

export interface InitRequest {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly spec: Spec;
  readonly cgroup: Cgroup;
  /** Absent when the process has a terminal. */
  readonly stdio: Stdio | undefined;
  readonly signal: AbortSignal;
  /**
   * Who starts it: a listening socket on which the process waits for that, or itself as soon as it can; absent: whoever
   * creates it.
   */
  readonly starter?: number | "itself";
  /** Told as soon as there is a process, before it is anything else. */
  readonly onBirth?: (pid: number) => void;
}

/**
 * Creates a container's init and leads it to "created". On failure nothing of it is left; the cgroup is the caller's.
 *
 * @throws TandemError naming the property of config.json that could not be honoured
 */
export async function createInit(host: LinuxHost, request: InitRequest): Promise<InitProcess> {
  const plan = planOf(host, request);
  for (const warning of capabilityWarnings(request.spec.process?.capabilities)) host.warn(warning);
  const container: HookContainer = request;
  const opened: number[] = [];
  try {
    const joins = openJoins(plan.namespaces, opened);
    const time = joins.find(({ type }) => type === namespaceFlags.time)?.fd;
    const birth = { plan, time, opened };
    const ahead = plan.needsPid ? undefined : planDescriptors(host, request, birth, undefined);
    const init = await spawnInit(host.clone, {
      executable: host.executable,
      stdio: request.stdio,
      cgroup: request.cgroup,
      newNamespaces: plan.namespaces.flags,
      joins: joins.filter(({ type }) => type !== namespaceFlags.time),
      onListener: (fd) => sendListener(fd, container, init.pid),
      ...(ahead === undefined ? {} : { plan: ahead }),
    });
    try {
      request.onBirth?.(init.pid);
      if (plan.maps !== undefined) {
        if (!ownRights().root) await init.becomeMappable(request.signal);
        await mapIds(init.pid, plan.maps);
      }
      writeOomScore(init.pid, plan.oomScoreAdj);
      const fds = ahead === undefined ? planDescriptors(host, request, birth, init.pid) : undefined;
      const takeBack = moveNetDevices(plan.netDevices, init.pid, opened);
      try {
        const startsItself = request.starter === "itself";
        await init.create({ fds, signal: request.signal, startsItself }, async () => {
          const options = { signal: request.signal, environment: host.hookEnvironment };
          await runHooks("prestart", request, init.pid, options);
          await runHooks("createRuntime", request, init.pid, options);
        });
      } catch (error) {
        giveUp(takeBack, host);
        throw error;
      }
      return init;
    } catch (error) {
      await init.destroy();
      await unmountShared(host.executable, request).catch((late: unknown) =>
        host.warn(TandemError.from(late)),
      );
      // The container's life ends as any other (runtime-spec, runtime.md "Lifecycle" 12 to 14).
      await runHooks("poststop", container, 0, { environment: host.hookEnvironment }).catch((late: unknown) =>
        host.warn(TandemError.from(late)),
      );
      throw outOfMemory(request.cgroup) ?? error;
    }
  } catch (error) {
    throw TandemError.from(error, `container ${request.id}`);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** What the kernel kills says nothing itself. */
function outOfMemory(cgroup: Cgroup): TandemError | undefined {
  if (cgroup.dirs.length === 0 || cgroup.oomKills() === 0) return undefined;
  const message = "linux.resources.memory.limit: too low for a container to be made in";
  return new TandemError("invalid_argument", message);
}

function planOf(host: LinuxHost, { spec, id, bundle, rootfs, cgroup }: InitRequest): ContainerPlan {
  const { seccomp } = spec.linux ?? {};
  return planContainer(spec, {
    id,
    bundle,
    rootfs,
    cgroups: host.cgroupHierarchies(cgroup),
    machine: readMachine(),
    seccomp: seccomp === undefined ? undefined : host.compileSeccomp(seccomp),
    rights: ownRights(),
    noPivotRoot: host.noPivotRoot === true,
    noNewKeyring: host.noNewKeyring === true,
    relaysTerminal: host.relaysTerminal === true,
    hookEnvironment: [...(host.hookEnvironment ?? [])].map(([name, value]) => `${name}=${value}`),
    isRuntimes: isOwnNamespace,
  });
}

interface Birth {
  readonly plan: ContainerPlan;
  /** Descriptor of the time namespace to join. */
  readonly time: number | undefined;
  readonly opened: number[];
}

/** What container-init is handed: the encoded plan first. `pid` is undefined where the plan does not need it. */
function planDescriptors(
  host: LinuxHost,
  request: InitRequest,
  { plan, time, opened }: Birth,
  pid: number | undefined,
): number[] {
  const fds: number[] = [];
  for (const source of plan.sources) {
    const fd = openSource(source, { executable: host.executable, pid: pid ?? 0 });
    opened.push(fd);
    fds.push(fd);
  }
  if (time !== undefined) fds.push(time);
  const states = {
    creating: hookState(request, "creating", pid ?? 0),
    created: hookState(request, "created", pid ?? 0),
  };
  const steps = plan.steps(states, starterOf(request, fds));
  if (pid !== undefined) raiseLimits(pid, steps, plan.maps !== undefined);
  const memfd = memfdOf(steps);
  opened.push(memfd);
  return [memfd, ...fds];
}

function starterOf({ starter }: InitRequest, fds: number[]): number {
  if (starter === undefined) return NO_FD;
  return starter === "itself" ? AT_ONCE : fds.push(starter) - 1;
}

/** The caller is to hear what went wrong first. */
function giveUp(takeBack: () => void, host: LinuxHost): void {
  try {
    takeBack();
  } catch (late) {
    host.warn(TandemError.from(late, "linux.netDevices"));
  }
}

/** A container that runs, as far as another process in it needs to know. */
export interface RunningContainer {
  readonly id: string;
  readonly bundle: string;
  readonly spec: Spec;
  readonly pid: number;
  /** Throws unless the number is still that of its init. Called once nothing is looked up by number any more. */
  confirm(): void;
  readonly cgroup: Pick<Cgroup, "unit" | "entrance" | "add">;
}

export interface InitExecRequest {
  readonly process: SpecProcess;
  readonly stdio: Stdio | undefined;
  readonly signal: AbortSignal;
  /** It starts as soon as it can; absent: whoever creates it starts it. */
  readonly starter?: "itself";
}

/** Creates another process in a container and leads it to "created". @throws TandemError */
export async function createExec(
  host: LinuxHost,
  container: RunningContainer,
  request: InitExecRequest,
): Promise<InitProcess> {
  const { spec, pid } = container;
  const types = namespacesOf(spec);
  for (const warning of capabilityWarnings(request.process.capabilities)) host.warn(warning);
  const { seccomp } = spec.linux ?? {};
  const steps = planExec(request.process, {
    id: container.id,
    machine: readMachine(),
    seccomp: seccomp === undefined ? undefined : host.compileSeccomp(seccomp),
    canSetGroups: ownRights().machineRoot,
    userNamespace: types.includes("user"),
    noNewKeyring: host.noNewKeyring === true,
    relaysTerminal: host.relaysTerminal === true,
    linux: spec.linux,
    starter: request.starter === undefined ? NO_FD : AT_ONCE,
  });
  const opened: number[] = [];
  try {
    const joins = types.map((type) => {
      const fd = openSync(`/proc/${pid}/ns/${namespaceFiles[type]}`, "r");
      opened.push(fd);
      return { fd, type: namespaceFlags[type], property: `linux.namespaces ${type}` };
    });
    const root = sharesMounts(spec)
      ? openSync(`/proc/${pid}/root`, O_PATH | constants.O_DIRECTORY)
      : undefined;
    if (root !== undefined) opened.push(root);
    container.confirm();
    // The time namespace is joined by container-init itself: setns wants a process that shares its memory with nobody.
    const time = joins.find(({ type }) => type === namespaceFlags.time);
    const fds: number[] = [];
    if (time !== undefined) {
      steps.unshift({ op: "joinTime", property: "linux.namespaces time", fd: fds.push(time.fd) - 1 });
    }
    if (root !== undefined) steps.unshift({ op: "enterRoot", property: "root.path", fd: fds.push(root) - 1 });
    const memfd = memfdOf(steps);
    opened.push(memfd);
    const exec = await spawnInit(host.clone, {
      executable: host.executable,
      stdio: request.stdio,
      cgroup: container.cgroup,
      newNamespaces: 0,
      joins: joins.filter((join) => join !== time),
      onListener: (fd) => sendListener(fd, container, exec.pid, pid),
      plan: [memfd, ...fds],
      // In a container's namespaces nobody may look into it, and its files in /proc are root's then.
      oomScoreAdj: ownRights().root ? undefined : request.process.oomScoreAdj,
    });
    try {
      if (ownRights().root) writeOomScore(exec.pid, request.process.oomScoreAdj);
      const startsItself = request.starter === "itself";
      await exec.create({ fds: undefined, signal: request.signal, startsItself }, async () => undefined);
      return exec;
    } catch (error) {
      await exec.destroy();
      throw error;
    }
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** Kinds of namespaces that the container does not share with the runtime. */
function namespacesOf(spec: Spec): NamespaceType[] {
  return (spec.linux?.namespaces ?? []).map(({ type }) => type);
}
