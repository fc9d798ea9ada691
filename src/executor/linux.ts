import { closeSync, openSync, writeFileSync } from "node:fs";
import type { Spec, SpecIdMapping, SpecSeccomp } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { CgroupHierarchy } from "../isolation/cgroup-mount.ts";
import { encodePlan } from "../isolation/encode.ts";
import type { MountSource } from "../isolation/mounts.ts";
import { idMapText, namespaceFiles, namespaceFlags, type NamespacePlan, type NamespaceType } from "../isolation/namespaces.ts";
import { type ContainerPlan, planContainer, planExec } from "../isolation/plan.ts";
import type { CompiledSeccomp } from "../isolation/process-steps.ts";
import type { Step } from "../isolation/steps.ts";
import { native } from "../native.ts";
import type { CreateRequest, ExecRequest, Executor, ExecutorContainer, ExecutorProcess, Stdio } from "./executor.ts";
import { type HookContainer, hookState, runHooks } from "./hooks.ts";
import { InitProcess } from "./init-process.ts";
import { InitSocket } from "./init-socket.ts";
import { readMachine } from "./machine.ts";
import { sendListener } from "./seccomp-agent.ts";

export interface LinuxExecutorOptions {
  /** container-init as `native.sealExecutable` returned it; stays the caller's. */
  readonly executable: number;
  /** The machine's hierarchies with the container's directory in each, for mounts of type cgroup. */
  readonly cgroupHierarchies: (cgroup: Cgroup) => readonly CgroupHierarchy[];
  readonly compileSeccomp: (seccomp: SpecSeccomp) => CompiledSeccomp;
  /** Runtime options NoPivotRoot and NoNewKeyring. */
  readonly noPivotRoot?: boolean;
  readonly noNewKeyring?: boolean;
  /** Hears of what happens after the fact and fails nobody's request: poststart and poststop hooks. */
  readonly warn: (error: TandemError) => void;
}

/** Runs OCI Linux containers. */
export function createLinuxExecutor(options: LinuxExecutorOptions): Executor {
  return { kind: "linux", create: (request) => createContainer(options, request) };
}

async function createContainer(options: LinuxExecutorOptions, request: CreateRequest): Promise<ExecutorContainer> {
  const { spec, id, bundle } = request;
  const seccomp = spec.linux?.seccomp === undefined ? undefined : options.compileSeccomp(spec.linux.seccomp);
  const plan = planContainer(spec, {
    id,
    bundle,
    rootfs: request.rootfs,
    cgroups: options.cgroupHierarchies(request.cgroup),
    machine: readMachine(),
    seccomp,
    privileged: process.geteuid?.() === 0,
    noPivotRoot: options.noPivotRoot === true,
    noNewKeyring: options.noNewKeyring === true,
  });
  const container: HookContainer = { id, bundle, spec };
  const init = await createInit(options, request, plan, container);
  return new LinuxContainer(options, request, { init, seccomp, container });
}

async function createInit(
  options: LinuxExecutorOptions,
  request: CreateRequest,
  plan: ContainerPlan,
  container: HookContainer,
): Promise<InitProcess> {
  const { signal } = request;
  const opened: number[] = [];
  try {
    const joins = openJoins(plan.namespaces, opened);
    const init = spawnProcess(options, request.stdio, {
      newNamespaces: plan.namespaces.flags,
      joins: joins.filter(({ type }) => type !== namespaceFlags.time),
      onListener: listenerOf(container, () => init.pid),
    });
    try {
      request.cgroup.add(init.pid);
      if (plan.maps !== undefined) writeMaps(init.pid, plan.maps);
      writeOomScore(init.pid, plan.oomScoreAdj);
      const sources = plan.sources.map((source) => openSource(options, source, init.pid));
      opened.push(...sources);
      const time = joins.find(({ type }) => type === namespaceFlags.time);
      const steps = plan.steps({
        creating: hookState(container, "creating", init.pid),
        created: hookState(container, "created", init.pid),
      });
      raiseLimits(init.pid, steps, plan);
      const memfd = memfdOf(steps);
      opened.push(memfd);
      const fds = [memfd, ...sources, ...(time === undefined ? [] : [time.fd])];
      await init.create({ fds, signal }, async () => {
        await runHooks("prestart", container, init.pid);
        await runHooks("createRuntime", container, init.pid);
      });
      return init;
    } catch (error) {
      await init.destroy();
      // The container's life ends as any other (runtime-spec, runtime.md "Lifecycle" 12 to 14).
      await runHooks("poststop", container, 0).catch((late: unknown) => options.warn(TandemError.from(late)));
      throw error;
    }
  } catch (error) {
    throw TandemError.from(error, `container ${request.id}`);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

class LinuxContainer implements ExecutorContainer {
  readonly init: ExecutorProcess;
  readonly #options: LinuxExecutorOptions;
  readonly #request: CreateRequest;
  readonly #seccomp: CompiledSeccomp | undefined;
  readonly #container: HookContainer;
  #released: Promise<void> | undefined;

  constructor(
    options: LinuxExecutorOptions,
    request: CreateRequest,
    parts: { readonly init: InitProcess; readonly seccomp: CompiledSeccomp | undefined; readonly container: HookContainer },
  ) {
    this.#options = options;
    this.#request = request;
    this.#seccomp = parts.seccomp;
    this.#container = parts.container;
    const { init } = parts;
    this.init = {
      pid: init.pid,
      console: init.console,
      exited: init.exited,
      kill: (signal) => init.kill(signal),
      start: async () => {
        await init.start();
        await runHooks("poststart", parts.container, init.pid).catch((error: unknown) => options.warn(TandemError.from(error)));
      },
    };
    init.exited.then(() => init.closeUnstarted());
  }

  async exec(request: ExecRequest): Promise<ExecutorProcess> {
    const { spec } = this.#request;
    const name = `exec ${request.execId} of container ${this.#request.id}`;
    const types = namespacesOf(spec);
    const opened: number[] = [];
    try {
      const steps = planExec(request.process, {
        id: this.#request.id,
        machine: readMachine(),
        seccomp: this.#seccomp,
        canSetGroups: process.geteuid?.() === 0 || !types.includes("user"),
        userNamespace: types.includes("user"),
        noNewKeyring: this.#options.noNewKeyring === true,
      });
      const joins = types.map((type) => {
        const fd = openSync(`/proc/${this.init.pid}/ns/${namespaceFiles[type]}`, "r");
        opened.push(fd);
        return { fd, type: namespaceFlags[type] };
      });
      // An exec enters the container's time namespace after its own execve: setns wants a process without shared memory.
      const time = joins.find(({ type }) => type === namespaceFlags.time);
      if (time !== undefined) steps.unshift({ op: "joinTime", property: "linux.namespaces time", fd: 0 });
      const execProcess = spawnProcess(this.#options, request.stdio, {
        newNamespaces: 0,
        joins: joins.filter((join) => join !== time),
        onListener: listenerOf(this.#container, () => execProcess.pid),
      });
      try {
        this.#request.cgroup.add(execProcess.pid);
        writeOomScore(execProcess.pid, request.process.oomScoreAdj);
        const plan = memfdOf(steps);
        opened.push(plan);
        const fds = time === undefined ? [plan] : [plan, time.fd];
        await execProcess.create({ fds, signal: request.signal }, async () => undefined);
      } catch (error) {
        await execProcess.destroy();
        throw error;
      }
      execProcess.exited.then(() => execProcess.closeUnstarted());
      return execProcess;
    } catch (error) {
      throw TandemError.from(error, name);
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  release(): Promise<void> {
    this.#released ??= runHooks("poststop", this.#container, 0).catch((error: unknown) =>
      this.#options.warn(TandemError.from(error)),
    );
    return this.#released;
  }
}

/** Kinds of namespaces that the container does not share with the runtime; mount is always one of them. */
function namespacesOf(spec: Spec): NamespaceType[] {
  return (spec.linux?.namespaces ?? []).map(({ type }) => type);
}

interface Spawned {
  readonly newNamespaces: number;
  readonly joins: readonly { readonly fd: number; readonly type: number }[];
  readonly onListener: (fd: number) => void;
}

function spawnProcess(options: LinuxExecutorOptions, stdio: Stdio | undefined, how: Spawned): InitProcess {
  const [ours, theirs] = native.socketpair();
  const socket = new InitSocket(ours);
  const none = stdio === undefined ? openSync("/dev/null", "r+") : undefined;
  const fds = stdio === undefined ? undefined : ([stdio.stdin, stdio.stdout, stdio.stderr] as const);
  try {
    const spawned = native.spawnInit({
      executable: options.executable,
      stdio: fds ?? [none ?? -1, none ?? -1, none ?? -1],
      socket: theirs,
      newNamespaces: how.newNamespaces,
      joinNamespaces: how.joins,
    });
    return new InitProcess(spawned, socket, how.onListener);
  } catch (error) {
    socket.close();
    throw TandemError.from(error, "linux.namespaces");
  } finally {
    closeSync(theirs);
    if (none !== undefined) closeSync(none);
  }
}

function openJoins({ joins }: NamespacePlan, opened: number[]): { fd: number; type: number }[] {
  return joins.map(({ type, path, property }) => {
    try {
      const fd = openSync(path, "r");
      opened.push(fd);
      return { fd, type: namespaceFlags[type] };
    } catch (error) {
      throw TandemError.from(error, property);
    }
  });
}

function writeMaps(pid: number, maps: { readonly uids: string; readonly gids: string }): void {
  try {
    // An unprivileged user must give up setgroups before the gid map, user_namespaces(7).
    if (process.geteuid?.() !== 0) writeFileSync(`/proc/${pid}/setgroups`, "deny");
    writeFileSync(`/proc/${pid}/gid_map`, maps.gids);
    writeFileSync(`/proc/${pid}/uid_map`, maps.uids);
  } catch (error) {
    throw TandemError.from(error, "linux.uidMappings, linux.gidMappings");
  }
}

function writeOomScore(pid: number, score: number | undefined): void {
  if (score === undefined) return;
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, String(score));
  } catch (error) {
    throw TandemError.from(error, "process.oomScoreAdj");
  }
}

/** Inside a user namespace nobody may raise a hard limit: the shim does it, as far as it may itself. */
function raiseLimits(pid: number, steps: readonly Step[], plan: ContainerPlan): void {
  if (plan.maps === undefined) return;
  for (const step of steps) {
    if (step.op !== "rlimit") continue;
    try {
      native.setResourceLimit(pid, step.resource, step.soft, step.hard);
    } catch (error) {
      throw TandemError.from(error, step.property);
    }
  }
}

function openSource(options: LinuxExecutorOptions, source: MountSource, pid: number): number {
  const { path, recursive, idmap, property } = source;
  let namespace: number | undefined;
  try {
    if (idmap === "container") namespace = openSync(`/proc/${pid}/ns/user`, "r");
    else if (idmap !== undefined) namespace = userNamespaceOf(options, idmap.uids, idmap.gids);
    return native.openMountSource(path, recursive, namespace, source.idmapRecursive);
  } catch (error) {
    throw TandemError.from(error, property);
  } finally {
    if (namespace !== undefined) closeSync(namespace);
  }
}

/** A user namespace needs a process to be made and mapped by; it lives on in its descriptor. */
function userNamespaceOf(
  options: LinuxExecutorOptions,
  uids: readonly SpecIdMapping[] | undefined,
  gids: readonly SpecIdMapping[] | undefined,
): number {
  const [ours, theirs] = native.socketpair();
  const maker = native.spawnInit({
    executable: options.executable,
    stdio: [theirs, theirs, theirs],
    socket: theirs,
    newNamespaces: namespaceFlags.user,
    joinNamespaces: [],
  });
  try {
    writeMaps(maker.pid, { uids: idMapText(uids), gids: idMapText(gids) });
    return openSync(`/proc/${maker.pid}/ns/user`, "r");
  } finally {
    // Without a plan it ends by itself.
    closeSync(ours);
    closeSync(theirs);
    native.waitReadable(maker.pidfd, -1);
    native.waitPidfd(maker.pidfd);
    closeSync(maker.pidfd);
  }
}

function memfdOf(steps: readonly Step[]): number {
  return native.memfd("plan", encodePlan(steps));
}

function listenerOf(container: HookContainer, pid: () => number): (fd: number) => void {
  return (fd) => sendListener(fd, container, pid());
}
