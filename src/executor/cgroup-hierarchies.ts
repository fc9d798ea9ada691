import { type CgroupLayout, cgroupLayout } from "../isolation/cgroup/layout.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { CgroupHierarchy } from "../isolation/cgroup-mount.ts";

/** The machine's hierarchies with the container's own directory in each, for mounts of type cgroup. */
export function cgroupHierarchies({ dirs }: Pick<Cgroup, "dirs">): readonly CgroupHierarchy[] {
  return hierarchiesWith(dirs, cgroupLayout(), () => undefined);
}

/**
 * The same where there may be hierarchies without one: the container then stays in the cgroup of the process that makes it.
 *
 * @param maker the layout with that process's membership
 */
export function cgroupHierarchiesFrom(
  maker: CgroupLayout,
  { dirs }: Pick<Cgroup, "dirs">,
): readonly CgroupHierarchy[] {
  return hierarchiesWith(dirs, maker, ({ ownDirectory }) => ownDirectory);
}

function hierarchiesWith(
  dirs: readonly string[],
  { hierarchies }: CgroupLayout,
  otherwise: (hierarchy: CgroupLayout["hierarchies"][number]) => string | undefined,
): readonly CgroupHierarchy[] {
  return hierarchies.flatMap((hierarchy) => {
    const { version, controllers, mountPoint } = hierarchy;
    const directory = dirs.find((path) => path.startsWith(`${mountPoint}/`)) ?? otherwise(hierarchy);
    return directory === undefined ? [] : [{ version, controllers, mountPoint, directory }];
  });
}
