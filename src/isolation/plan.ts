import type { Spec, SpecHook, SpecProcess } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";
import type { Rights } from "../rights.ts";
import type { CgroupHierarchy } from "./cgroup-mount.ts";
import { deviceSteps } from "./devices.ts";
import { checkMapped } from "./id-mappings.ts";
import { ATTR_RDONLY, noAttributes, propagationFlags } from "./mount-options.ts";
import { type MountSource, planMounts } from "./mounts.ts";
import {
  type IdMaps,
  idMapText,
  type NamespacePlan,
  type NamespaceType,
  namespaceFlags,
  type OwnNamespace,
  planNamespaces,
  timeSteps,
} from "./namespaces.ts";
import { type NetDevice, planNetDevices } from "./net-devices.ts";
import {
  type CompiledSeccomp,
  consoleSteps,
  execSteps,
  identitySteps,
  inheritedSteps,
  labelSteps,
  type Machine,
  type ProcessContext,
  sessionSteps,
} from "./process-steps.ts";
import { affinitySteps, anyCpu } from "./scheduling.ts";
import { NO_FD, rootChange, type Step, type StepOf } from "./steps.ts";
import { sysctlSteps } from "./sysctl.ts";

export interface PlanContext {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly cgroups: readonly CgroupHierarchy[];
  readonly machine: Machine;
  readonly seccomp: CompiledSeccomp | undefined;
  /** The runtime's own. */
  readonly rights: Rights;
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  /** The terminal's other side is copied to another terminal or a pipe. */
  readonly relaysTerminal?: boolean;
  /** What createContainer hooks without an environment of their own inherit. */
  readonly hookEnvironment?: readonly string[];
  /** Whether a path given for a namespace leads to the one that the runtime itself is in. */
  readonly isRuntimes: (type: NamespaceType, path: string) => boolean;
}

/** What poll(2) and timers take, 24 days. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

const NEEDS_USER_NAMESPACE =
  "linux.namespaces: who is not root needs a user namespace for a container (`tandem-oci spec --rootless` writes a config.json with one)";

/** A container before any of it exists: pure data. */
export interface ContainerPlan {
  readonly namespaces: NamespacePlan;
  /** Contents of uid_map and gid_map; undefined without a new user namespace. */
  readonly maps: IdMaps | undefined;
  readonly sources: readonly MountSource[];
  readonly netDevices: readonly NetDevice[];
  readonly oomScoreAdj: number | undefined;
  readonly hasRuntimeHooks: boolean;
  /** Whether something has to be done from outside, or said, that takes the pid; else the process may run ahead. */
  readonly needsPid: boolean;
  /**
   * The steps, once the pid is known that the hooks' state carries.
   *
   * @param starter descriptor, counted after the plan's own, of the socket on which "start" comes; without one it comes from whoever creates
   */
  steps(states: HookStates, starter?: number): Step[];
}

/** The container's state (runtime-spec, runtime.md "State") as JSON, for hooks that container-init runs. */
export interface HookStates {
  readonly creating: string;
  readonly created: string;
}

/**
 * Plans a container.
 *
 * @throws TandemError invalid_argument, unimplemented or failed_precondition, naming the property that cannot be honoured
 */
export function planContainer(spec: Spec, context: PlanContext): ContainerPlan {
  const { linux, hooks, process } = spec;
  if (spec.root === undefined) throw new TandemError("invalid_argument", "root: is missing");
  if (process === undefined) throw new TandemError("invalid_argument", "process: is missing");
  refuseUnknown(spec, context.machine);
  // Of execs; but it is wrong now.
  affinitySteps(process.execCPUAffinity);
  const namespaces = planNamespaces(linux);
  if (namespaces.created.has("user")) checkMapped(spec);
  const own: OwnNamespace = (type) =>
    namespaces.created.has(type) ||
    namespaces.joins.some((join) => join.type === type && !context.isRuntimes(type, join.path));
  const userNamespace = own("user");
  const { rights } = context;
  if (!rights.root && !userNamespace) throw new TandemError("invalid_argument", NEEDS_USER_NAMESPACE);
  const mounts = planMounts(spec.mounts, {
    bundle: context.bundle,
    userNamespace,
    openSources: rights.root,
    mountNamespace: namespaces.created.has("mount"),
    reachesMachine: !namespaces.created.has("mount") || machineTies(linux) === "shared",
    propagation: sourcePropagation(spec, namespaces, userNamespace),
    cgroupNamespace: own("cgroup"),
    cgroups: context.cgroups,
    mountLabel: linux?.mountLabel ?? "",
  });
  const netDevices = planNetDevices(linux, own);
  const processContext: ProcessContext = { ...context, canSetGroups: rights.machineRoot };
  const hasRuntimeHooks = [...(hooks?.prestart ?? []), ...(hooks?.createRuntime ?? [])].length > 0;
  const before = [
    ...sessionSteps(userNamespace, context),
    ...anyCpu,
    ...namespaceSteps(spec, namespaces, { own, timeFd: mounts.sources.length }),
    ...rootfsSteps(spec, namespaces, context),
    ...mounts.steps,
    ...deviceSteps(spec, userNamespace || !rights.machineRoot),
  ];
  const inside = [
    ...labelSteps(process, context.machine),
    rootStep(namespaces, context),
    ...consoleSteps(process, { bind: true, relayed: context.relaysTerminal === true }),
    // A /dev that is to be read-only has its console by now.
    ...mounts.late,
    ...sealingSteps(spec, process),
    ...inheritedSteps(linux),
    ...identitySteps(process, processContext),
  ] satisfies Step[];
  const after = execSteps(process, processContext);
  const creating: Step[] = hasRuntimeHooks ? [{ op: "runtimeHooks", property: "hooks.createRuntime" }] : [];
  return {
    namespaces,
    maps: namespaces.created.has("user")
      ? { uids: idMapText(linux?.uidMappings), gids: idMapText(linux?.gidMappings) }
      : undefined,
    sources: mounts.sources,
    netDevices,
    oomScoreAdj: process.oomScoreAdj,
    hasRuntimeHooks,
    needsPid:
      namespaces.created.has("user") ||
      userNamespace ||
      netDevices.length > 0 ||
      mounts.sources.some(({ idmap }) => idmap === "container") ||
      hasHooks(spec),
    steps: (states, starter = NO_FD) => [
      ...before,
      ...creating,
      ...hookSteps("createContainer", hooks?.createContainer, states.creating, context.hookEnvironment),
      ...inside,
      { op: "created", property: "", starter },
      ...hookSteps("startContainer", hooks?.startContainer, states.created, process.env),
      ...after,
    ],
  };
}

function hasHooks({ hooks = {} }: Spec): boolean {
  return Object.values(hooks).some((ofKind) => (ofKind ?? []).length > 0);
}

function refuseUnknown({ linux }: Spec, machine: Machine): void {
  if ((linux?.mountLabel ?? "") !== "" && !machine.selinux) {
    throw new TandemError("failed_precondition", "linux.mountLabel: SELinux is not enabled on this machine");
  }
  if ((linux?.personality?.flags ?? []).length > 0) {
    throw new TandemError("invalid_argument", "linux.personality.flags: the specification defines none");
  }
}

function namespaceSteps(
  spec: Spec,
  { created, joins }: NamespacePlan,
  { own, timeFd }: { readonly own: OwnNamespace; readonly timeFd: number },
): Step[] {
  const { linux } = spec;
  const steps: Step[] = [];
  const time = joins.find(({ type }) => type === "time");
  if (time !== undefined) steps.push({ op: "joinTime", property: time.property, fd: timeFd });
  steps.push(...timeSteps(linux, created));
  if (created.has("cgroup")) {
    steps.push({ op: "unshare", property: "linux.namespaces cgroup", flags: namespaceFlags.cgroup });
  }
  if (created.has("network")) steps.push({ op: "loopback", property: "linux.namespaces network" });
  for (const [property, op] of [
    ["hostname", "hostname"],
    ["domainname", "domainname"],
  ] as const) {
    const name = spec[property] ?? "";
    if (name === "") continue;
    if (!own("uts")) throw new TandemError("invalid_argument", `${property}: needs a uts namespace`);
    steps.push({ op, property, name });
  }
  steps.push(...sysctlSteps(linux?.sysctl, own));
  return steps;
}

/** How the machine's mounts go on in a namespace of the container's own: "shared" ones of the container reach the machine, as asked. */
function machineTies(linux: Spec["linux"]): "shared" | "slave" | "private" {
  // Unbindable is the root's own affair (sealingSteps).
  const kind = (linux?.rootfsPropagation ?? "").replace(/^r/, "");
  return kind === "shared" || kind === "private" ? kind : "slave";
}

/** Of what the shim opens the same, but that it comes from where the container's own rights do not reach. */
function sourcePropagation({ linux }: Spec, { created }: NamespacePlan, userNamespace: boolean): number {
  // As the kernel has it with a mount namespace of a user namespace (mount_namespaces(7), "Restrictions").
  const ties = userNamespace || !created.has("mount") ? "slave" : machineTies(linux);
  return ties === "shared" ? 0 : (propagationFlags[ties] ?? 0);
}

function rootfsSteps({ linux }: Spec, { created }: NamespacePlan, context: PlanContext): Step[] {
  const { rootfs: path } = context;
  // Others are in the namespace: how their mounts propagate is not the container's to say.
  if (!created.has("mount"))
    return [{ op: "rootfs", property: "root.path", path, parentPrivate: false, isolate: true }];
  const ties = machineTies(linux);
  const flags = propagationFlags[`r${ties}`] ?? 0;
  return [
    { op: "propagation", property: "linux.rootfsPropagation", flags },
    { op: "rootfs", property: "root.path", path, parentPrivate: ties === "shared", isolate: false },
  ];
}

function rootStep({ created }: NamespacePlan, { rootfs, noPivotRoot }: PlanContext): StepOf<"root"> {
  const how = !created.has("mount") ? "chroot" : noPivotRoot ? "move" : "pivot";
  return { op: "root", property: "root.path", path: rootfs, how: rootChange[how] };
}

/** After pivot_root: what the container may not see or change. */
function sealingSteps(spec: Spec, process: SpecProcess): Step[] {
  const { linux } = spec;
  const steps: Step[] = [{ op: "cwd", property: "process.cwd", path: process.cwd, ahead: true, make: true }];
  const propagation = propagationFlags[linux?.rootfsPropagation ?? ""] ?? 0;
  const readonly = spec.root?.readonly === true;
  if (readonly || propagation !== 0) {
    steps.push({
      op: "attributes",
      property: readonly ? "root.readonly" : "linux.rootfsPropagation",
      path: "/",
      optional: false,
      own: false,
      ...noAttributes,
      set: readonly ? ATTR_RDONLY : 0n,
      propagation,
    });
  }
  for (const [index, path] of (linux?.readonlyPaths ?? []).entries()) {
    const property = `linux.readonlyPaths[${index}]`;
    steps.push({
      op: "attributes",
      property,
      path,
      optional: true,
      own: true,
      ...noAttributes,
      recursiveSet: ATTR_RDONLY,
    });
  }
  for (const [index, path] of (linux?.maskedPaths ?? []).entries()) {
    steps.push({ op: "mask", property: `linux.maskedPaths[${index}]`, path });
  }
  return steps;
}

function hookSteps(
  kind: "createContainer" | "startContainer",
  hooks: readonly SpecHook[] | undefined,
  state: string,
  inherited: readonly string[] = [],
): Step[] {
  return (hooks ?? []).map((hook, index) => ({
    op: "hook",
    property: `hooks.${kind}[${index}]`,
    path: hook.path,
    args: hook.args ?? [hook.path],
    env: hook.env ?? inherited,
    timeoutMs: Math.min((hook.timeout ?? 0) * 1000, LONGEST_TIMEOUT_MS),
    state,
  }));
}
