import { cgroupLayout } from "../isolation/cgroup/layout.ts";
import type { Cgroup } from "../isolation/cgroup.ts";
import type { CgroupHierarchy } from "../isolation/cgroup-mount.ts";

/** The machine's hierarchies with the container's own directory in each, for mounts of type cgroup. */
export function cgroupHierarchies({ dirs }: Pick<Cgroup, "dirs">): readonly CgroupHierarchy[] {
  return cgroupLayout().hierarchies.flatMap(({ version, controllers, mountPoint }) => {
    const directory = dirs.find((path) => path.startsWith(`${mountPoint}/`));
    return directory === undefined ? [] : [{ version, controllers, mountPoint, directory }];
  });
}
