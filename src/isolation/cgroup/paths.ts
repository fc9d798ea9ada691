import { posix } from "node:path";
import { shown, TandemError } from "../../errors.ts";
import type { CgroupLayout, Hierarchy } from "./layout.ts";

/** A container's directories. */
export interface CgroupPaths {
  /** v1 controller ("memory", "name=systemd") ↦ directory. Empty on v2. */
  readonly v1: ReadonlyMap<string, string>;
  /** Its directory in the v2 hierarchy, also in hybrid mode. */
  readonly unified: string | undefined;
  /** Each directory once. */
  readonly all: readonly string[];
  /** Hierarchies in which it has none, by controller ("" for v2): where they are mounted. */
  readonly absent: ReadonlyMap<string, string>;
}

/**
 * Where the container's cgroup goes in every mounted hierarchy.
 *
 * `cgroupsPath` as runtime-spec, config-linux.md "Cgroups Path": absolute is below each mount point, relative below this
 * process's own cgroup (or `member`'s, where it shows), absent is `/<namespace>/<id>`.
 *
 * @throws TandemError invalid_argument for a path with `..`; failed_precondition for a relative one where we cannot say what to.
 */
export function cgroupPaths(
  layout: CgroupLayout,
  request: {
    cgroupsPath: string | undefined;
    namespace: string;
    id: string;
    member?: CgroupLayout;
  },
): CgroupPaths {
  const { cgroupsPath, namespace, id } = request;
  const path = cgroupsPath === undefined || cgroupsPath === "" ? `/${namespace}/${id}` : cgroupsPath;
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  // PATH_MAX, with room for where the hierarchy is mounted.
  if (parts.length === 0 || parts.includes("..") || path.includes("\0") || path.length > 3500) {
    throw new TandemError(
      "invalid_argument",
      `linux.cgroupsPath ${shown(path)}: not a path of a container's own`,
    );
  }
  return collect(layout, (hierarchy) => {
    if (path.startsWith("/")) return `${hierarchy.mountPoint}/${parts.join("/")}`;
    if (hierarchy.ownDirectory === undefined) {
      if (request.member !== undefined) return undefined;
      throw new TandemError(
        "failed_precondition",
        `linux.cgroupsPath ${shown(path)}: relative, but ${hierarchy.mountPoint} does not show the runtime's own cgroup`,
      );
    }
    return posix.join(hierarchy.ownDirectory, parts.join("/"));
  });
}

/** The same from recorded directories, by the mounts that they are below. */
export function cgroupPathsOf(layout: CgroupLayout, directories: readonly string[]): CgroupPaths {
  return collect(layout, ({ mountPoint }) =>
    directories.find((directory) => directory.startsWith(`${mountPoint}/`)),
  );
}

/** Whether limits are those of cgroup v1, also where the container has no v1 directory for them. */
export function hasV1Limits({ v1, absent }: CgroupPaths): boolean {
  return v1.size > 0 || [...absent.keys()].some((controller) => controller !== "");
}

function collect(
  layout: CgroupLayout,
  directoryIn: (hierarchy: Hierarchy) => string | undefined,
): CgroupPaths {
  const v1 = new Map<string, string>();
  const all: string[] = [];
  const absent = new Map<string, string>();
  let unified: string | undefined;
  for (const hierarchy of layout.hierarchies) {
    const directory = directoryIn(hierarchy);
    const { version, controllers, mountPoint } = hierarchy;
    if (directory === undefined) {
      for (const controller of version === 2 ? [""] : controllers) absent.set(controller, mountPoint);
      continue;
    }
    all.push(directory);
    if (version === 2) unified = directory;
    for (const controller of controllers) v1.set(controller, directory);
  }
  return { v1, unified, all, absent };
}
