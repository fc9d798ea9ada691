import { basename } from "node:path";
import { TandemError } from "../errors.ts";
import { ATTR_RDONLY, MS_RDONLY, noAttributes, type ParsedOptions } from "./mount-options.ts";
import { NO_FD, type Step } from "./steps.ts";

/** One hierarchy of this machine and the container's own directory in it. */
export interface CgroupHierarchy {
  readonly version: 1 | 2;
  /** v1: ["cpu", "cpuacct"] or ["name=systemd"]; v2: empty. */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  readonly directory: string;
}

interface CgroupMount {
  readonly property: string;
  readonly target: string;
  readonly options: ParsedOptions;
}

interface CgroupMountContext {
  readonly cgroupNamespace: boolean;
  readonly cgroups: readonly CgroupHierarchy[];
  /** Where a mount is a peer of the machine's, what is mounted on it is mounted on the machine's, too. */
  readonly reachesMachine: boolean;
}

const TMPFS_FLAGS = 0x2 | 0x4 | 0x8; // nosuid, nodev, noexec

/**
 * A mount of type cgroup shows the container its own cgroup as the root: in a cgroup namespace the kernel does that,
 * otherwise binds do. On v1 and hybrid machines it is a tmpfs with a directory for each hierarchy.
 */
export function cgroupMountSteps(mount: CgroupMount, context: CgroupMountContext): Step[] {
  const { property, target } = mount;
  const steps = hierarchySteps(mount, context);
  // On a bind of the machine's /sys it would cover the machine's own cgroups, those that are yet to be bound among them.
  return context.reachesMachine ? [{ op: "slave", property, path: target }, ...steps] : steps;
}

function hierarchySteps(mount: CgroupMount, { cgroups, cgroupNamespace }: CgroupMountContext): Step[] {
  const { property, target, options } = mount;
  if (cgroups.length === 0)
    throw new TandemError("failed_precondition", `${property}: the container has no cgroup`);
  const only = cgroups[0];
  if (cgroups.length === 1 && only?.version === 2) {
    return [hierarchyStep(mount, only, target, cgroupNamespace)];
  }
  const steps: Step[] = [
    {
      op: "mount",
      property,
      type: "tmpfs",
      source: "tmpfs",
      target,
      flags: TMPFS_FLAGS,
      data: "mode=755",
      copyUp: false,
      fd: NO_FD,
      ...noAttributes,
      propagation: options.attributes.propagation,
    },
  ];
  for (const hierarchy of cgroups) {
    const name = basename(hierarchy.mountPoint);
    steps.push(hierarchyStep(mount, hierarchy, `${target}/${name}`, cgroupNamespace));
    for (const controller of hierarchy.controllers) {
      // Programs look for "cpu" where the machine has "cpu,cpuacct".
      if (controller !== name && !controller.startsWith("name=")) {
        steps.push({ op: "symlink", property, content: name, path: `${target}/${controller}` });
      }
    }
  }
  if ((options.flags & MS_RDONLY) !== 0) {
    steps.push({
      op: "attributes",
      property,
      path: target,
      optional: false,
      own: false,
      ...noAttributes,
      set: ATTR_RDONLY,
    });
  }
  return steps;
}

function hierarchyStep(
  { property, options }: CgroupMount,
  hierarchy: CgroupHierarchy,
  target: string,
  namespaced: boolean,
): Step {
  if (!namespaced) {
    return {
      op: "bind",
      property,
      source: hierarchy.directory,
      fd: NO_FD,
      target,
      recursive: false,
      implied: 0n,
      ...options.attributes,
      propagation: 0,
    };
  }
  const named = hierarchy.controllers.some((name) => name.startsWith("name="));
  const data = [...(named ? ["none"] : []), ...hierarchy.controllers].join(",");
  const type = hierarchy.version === 2 ? "cgroup2" : "cgroup";
  return {
    op: "mount",
    property,
    type,
    source: "cgroup",
    target,
    flags: options.flags,
    data,
    copyUp: false,
    fd: NO_FD,
    ...noAttributes,
  };
}
