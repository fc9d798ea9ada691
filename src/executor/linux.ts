import { closeSync, openSync } from "node:fs";
import type { Spec, SpecSeccomp } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { CgroupHierarchy } from "../isolation/cgroup-mount.ts";
import { type NamespaceType, namespaceFiles, namespaceFlags } from "../isolation/namespaces.ts";
import { type ContainerPlan, planContainer, planExec } from "../isolation/plan.ts";
import type { CompiledSeccomp } from "../isolation/process-steps.ts";
import type { CreateRequest, ExecRequest, Executor, ExecutorContainer, ExecutorProcess } from "./executor.ts";
import { type HookContainer, hookState, runHooks } from "./hooks.ts";
import type { InitProcess } from "./init-process.ts";
import { readMachine } from "./machine.ts";
import { openSource } from "./mount-sources.ts";
import { sendListener } from "./seccomp-agent.ts";
import { memfdOf, openJoins, raiseLimits, spawnInit, writeMaps, writeOomScore } from "./spawn-init.ts";

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

async function createContainer(
  options: LinuxExecutorOptions,
  request: CreateRequest,
): Promise<ExecutorContainer> {
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
    const init = spawnInit({
      executable: options.executable,
      stdio: request.stdio,
      cgroup: request.cgroup,
      newNamespaces: plan.namespaces.flags,
      joins: joins.filter(({ type }) => type !== namespaceFlags.time),
      onListener: listenerOf(container, () => init.pid),
    });
    try {
      if (plan.maps !== undefined) writeMaps(init.pid, plan.maps);
      writeOomScore(init.pid, plan.oomScoreAdj);
      const sources: number[] = [];
      for (const source of plan.sources) {
        const fd = openSource(source, { executable: options.executable, pid: init.pid });
        opened.push(fd);
        sources.push(fd);
      }
      const time = joins.find(({ type }) => type === namespaceFlags.time);
      const steps = plan.steps({
        creating: hookState(container, "creating", init.pid),
        created: hookState(container, "created", init.pid),
      });
      raiseLimits(init.pid, steps, plan.maps !== undefined);
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
    parts: {
      readonly init: InitProcess;
      readonly seccomp: CompiledSeccomp | undefined;
      readonly container: HookContainer;
    },
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
        await runHooks("poststart", parts.container, init.pid).catch((error: unknown) =>
          options.warn(TandemError.from(error)),
        );
      },
    };
  }

  async exec(request: ExecRequest): Promise<ExecutorProcess> {
    const opened: number[] = [];
    try {
      return await this.#spawnExec(request, opened);
    } catch (error) {
      throw TandemError.from(error, `exec ${request.execId} of container ${this.#request.id}`);
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  async #spawnExec(request: ExecRequest, opened: number[]): Promise<ExecutorProcess> {
    const types = namespacesOf(this.#request.spec);
    const steps = planExec(request.process, {
      id: this.#request.id,
      machine: readMachine(),
      seccomp: this.#seccomp,
      canSetGroups: process.geteuid?.() === 0 || !types.includes("user"),
      userNamespace: types.includes("user"),
      noNewKeyring: this.#options.noNewKeyring === true,
    });
    // Once init is reaped, its number may be another process's. Nobody reaps it before the event loop's next turn.
    this.init.kill(0);
    const joins = types.map((type) => {
      const fd = openSync(`/proc/${this.init.pid}/ns/${namespaceFiles[type]}`, "r");
      opened.push(fd);
      return { fd, type: namespaceFlags[type] };
    });
    // The time namespace is joined by container-init itself: setns wants a process that shares its memory with nobody.
    const time = joins.find(({ type }) => type === namespaceFlags.time);
    if (time !== undefined) steps.unshift({ op: "joinTime", property: "linux.namespaces time", fd: 0 });
    const exec = spawnInit({
      executable: this.#options.executable,
      stdio: request.stdio,
      cgroup: this.#request.cgroup,
      newNamespaces: 0,
      joins: joins.filter((join) => join !== time),
      onListener: listenerOf(this.#container, () => exec.pid),
    });
    try {
      writeOomScore(exec.pid, request.process.oomScoreAdj);
      const plan = memfdOf(steps);
      opened.push(plan);
      await exec.create(
        { fds: time === undefined ? [plan] : [plan, time.fd], signal: request.signal },
        async () => undefined,
      );
      return exec;
    } catch (error) {
      await exec.destroy();
      throw error;
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

function listenerOf(container: HookContainer, pid: () => number): (fd: number) => void {
  return (fd) => sendListener(fd, container, pid());
}
