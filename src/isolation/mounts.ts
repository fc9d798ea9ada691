import { isAbsolute, posix, resolve } from "node:path";
import type { Spec, SpecMount } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import { type CgroupHierarchy, cgroupMountSteps } from "./cgroup-mount.ts";
import {
  ATTR_RDONLY,
  type MountAttributes,
  MS_RDONLY,
  MS_REMOUNT,
  mountFlagsAsAttributes,
  noAttributes,
  type ParsedOptions,
  PLAIN_ATTRIBUTES,
  parseOptions,
  propagationFlags,
  superblockOptions,
} from "./mount-options.ts";
import { NO_FD, type Step } from "./steps.ts";

/** What the shim makes or opens, because the container's root may not reach it or its owners are to be mapped. */
export interface MountSource {
  readonly from:
    | { readonly path: string; readonly recursive: boolean; readonly propagation: number }
    /** A new file system; options as the fifth argument of mount(2) has them, between its commas. */
    | { readonly type: string; readonly source: string; readonly options: readonly string[] };
  readonly property: string;
  /** undefined: not mapped; "container": as the container's user namespace. */
  readonly idmap:
    | undefined
    | "container"
    | { readonly uids: SpecMount["uidMappings"]; readonly gids: SpecMount["gidMappings"] };
  readonly idmapRecursive: boolean;
}

export interface MountContext {
  readonly bundle: string;
  /** The container's root is not the machine's. */
  readonly userNamespace: boolean;
  /** The runtime may take mounts out of its own namespace: root may. Otherwise container-init opens what is bound. */
  readonly openSources: boolean;
  /** Its mounts are in a namespace of their own. */
  readonly mountNamespace: boolean;
  /** What is mounted on a shared mount of the container's may be mounted on the machine's. */
  readonly reachesMachine: boolean;
  /** How a mount that the shim opens goes on with the machine's: MS_SLAVE or MS_PRIVATE, 0 as its peer. */
  readonly propagation: number;
  readonly cgroupNamespace: boolean;
  /** The hierarchies of this machine with the container's directory in each. */
  readonly cgroups: readonly CgroupHierarchy[];
  /** SELinux context of what is in the file systems that the container gets; empty for none. */
  readonly mountLabel: string;
}

export interface MountPlan {
  readonly steps: readonly Step[];
  /** Read-only mounts in which something has yet to be made; performed after the devices. */
  readonly late: readonly Step[];
  readonly sources: readonly MountSource[];
}

/** SCM_MAX_FD, unix(7), less the plan and a namespace. */
const MOST_SOURCES = 240;

/**
 * The steps for `mounts`, in their order.
 *
 * @throws TandemError invalid_argument or unimplemented, naming the mount
 */
export function planMounts(mounts: Spec["mounts"], context: MountContext): MountPlan {
  const steps: Step[] = [];
  const late: Step[] = [];
  const sources: MountSource[] = [];
  for (const [index, mount] of (mounts ?? []).entries()) {
    const property = `mounts[${index}] ${shown(mount.destination)}`;
    const options = parseOptions(mount.options ?? []);
    const target = posix.resolve("/", mount.destination);
    if (options.copyUp && mount.type !== "tmpfs") {
      throw new TandemError("invalid_argument", `${property}: only a tmpfs has the option tmpcopyup`);
    }
    const planned = { mount, options, property, target };
    if (options.bind || mount.type === "bind") {
      const isRemount = (options.flags & MS_REMOUNT) !== 0;
      steps.push(isRemount ? remountStep(planned) : bindStep(planned, context, sources));
    } else if (mount.type === "cgroup" || mount.type === "cgroup2") {
      if (idmapOf(planned, context) !== undefined)
        throw new TandemError("invalid_argument", `${property}: the kernel maps no ids of cgroups`);
      steps.push(...cgroupMountSteps({ property, target, options }, context));
    } else {
      steps.push(...filesystemSteps(planned, context, { late, sources }));
    }
  }
  if (sources.length > MOST_SOURCES) {
    const message = `mounts: ${sources.length} have to be opened by the shim, and ${MOST_SOURCES} at most can be`;
    throw new TandemError("unimplemented", message);
  }
  return { steps, late, sources };
}

interface Planned {
  readonly mount: SpecMount;
  readonly options: ParsedOptions;
  readonly property: string;
  readonly target: string;
}

/** Means nothing to a bind, and is passed to one all the same: mount(8) and every runtime let it be. */
const ofTmpfs = /^(?:mode|uid|gid|size|nr_inodes|nr_blocks)=/;

function bindStep(
  { mount, options, property, target }: Planned,
  context: MountContext,
  sources: MountSource[],
): Step {
  if (mount.source === undefined || mount.source === "") {
    throw new TandemError("invalid_argument", `${property}: a bind mount needs a source`);
  }
  const unknown = options.data.find((option) => !ofTmpfs.test(option));
  if (unknown !== undefined) {
    const at = `${property.split(" ", 1)[0]}.options[${mount.options?.indexOf(unknown)}]`;
    throw new TandemError("invalid_argument", `${at}: ${shown(unknown)} is no option of a bind mount`);
  }
  const source = isAbsolute(mount.source) ? mount.source : resolve(context.bundle, mount.source);
  const recursive = options.recursive || mount.options?.includes("bind") !== true;
  const idmap = idmapOf({ mount, options, property, target }, context);
  let fd = NO_FD;
  if (context.openSources && (context.userNamespace || idmap !== undefined)) {
    fd = sources.length;
    const from = { path: source, recursive, propagation: context.propagation };
    sources.push({ from, property, idmap, idmapRecursive: options.idmap === "recursive" });
  }
  const { attributes } = options;
  // In a namespace that others are in, what is mounted below is not to appear where this was bound from.
  const propagation =
    attributes.propagation || (context.mountNamespace ? 0 : (propagationFlags["rslave"] ?? 0));
  return {
    op: "bind",
    property,
    source,
    fd,
    target,
    recursive,
    implied: impliedBy(attributes),
    ...attributes,
    propagation,
  };
}

/**
 * With options of its own a bind has these and none of its source's, as mount(2) with MS_BIND | MS_REMOUNT leaves it. Access
 * times are as they were unless an option says otherwise.
 */
function impliedBy({ set, clear }: MountAttributes): bigint {
  return set === 0n && clear === 0n ? 0n : PLAIN_ATTRIBUTES & ~set;
}

/** `mount -o bind,remount`: a mount that an earlier entry made, or that the rootfs has, gets other attributes. */
function remountStep({ options, property, target }: Planned): Step {
  return {
    op: "attributes",
    property,
    path: target,
    optional: false,
    own: false,
    ...options.attributes,
    clear: options.attributes.clear | impliedBy(options.attributes),
  };
}

function idmapOf(
  { mount, options, property }: Planned,
  { userNamespace, openSources }: MountContext,
): MountSource["idmap"] {
  const { uidMappings: uids, gidMappings: gids } = mount;
  if ((uids === undefined) !== (gids === undefined)) {
    throw new TandemError("invalid_argument", `${property}: uidMappings and gidMappings come together`);
  }
  const isOwn = uids !== undefined && uids.length > 0;
  if (!isOwn && options.idmap === "none") return undefined;
  if (!isOwn && !userNamespace) {
    throw new TandemError(
      "invalid_argument",
      `${property}: to be id-mapped it needs mappings, or the container a user namespace`,
    );
  }
  if (!openSources)
    throw new TandemError("permission_denied", `${property}: only root can map the owners of a mount`);
  return isOwn ? { uids, gids } : "container";
}

const unlabelled = new Set(["proc", "sysfs", "mqueue"]);

function filesystemSteps(
  { mount, options, property, target }: Planned,
  context: MountContext,
  { late, sources }: { readonly late: Step[]; readonly sources: MountSource[] },
): Step[] {
  const type = mount.type ?? "";
  if (type === "") throw new TandemError("invalid_argument", `${property}: type is missing`);
  const { propagation, recursiveSet, recursiveClear } = options.attributes;
  let flags = options.flags;
  // Mount points and devices have still to be made in it: it becomes read-only once they are.
  if (type === "tmpfs" && (flags & MS_RDONLY) !== 0) {
    flags &= ~MS_RDONLY;
    late.push({
      op: "attributes",
      property,
      path: target,
      optional: false,
      own: false,
      ...noAttributes,
      set: ATTR_RDONLY,
    });
  }
  const source = mount.source ?? type;
  // Quoted, because a label has commas of its own; the kernel's own file systems take none.
  const label = context.mountLabel === "" || unlabelled.has(type) ? [] : [`context="${context.mountLabel}"`];
  const data = [...options.data, ...label];
  const idmap = idmapOf({ mount, options, property, target }, context);
  if (idmap !== undefined) {
    const from = { type, source, options: [...superblockOptions(flags), ...data] };
    sources.push({ from, property, idmap, idmapRecursive: false });
  }
  return [
    {
      op: "mount",
      property,
      type,
      source,
      target,
      flags,
      data: data.join(","),
      copyUp: options.copyUp,
      fd: idmap === undefined ? NO_FD : sources.length - 1,
      ...noAttributes,
      ...(idmap === undefined ? {} : mountFlagsAsAttributes(flags)),
      propagation,
      recursiveSet,
      recursiveClear,
    },
  ];
}
