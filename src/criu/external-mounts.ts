import type { MountInfo } from "./mountinfo.ts";

/** A mount whose file system is not the container's own: criu is told where it comes from, and leaves its files alone. */
export interface ExternalMount {
  /** In the container. */
  readonly mountPoint: string;
  /** On the machine. */
  readonly source: string;
}

/** criu mounts these itself, new instances of what the namespaces have. */
const ownTypes = new Set(["proc", "sysfs", "mqueue", "devpts"]);

/**
 * The external mounts of a container.
 *
 * @param machine mounts of the runtime's own namespace
 * @param cgroupNamespace whether it has one: then criu knows how to mount cgroups
 */
export function externalMounts(
  container: readonly MountInfo[],
  machine: readonly MountInfo[],
  cgroupNamespace: boolean,
): ExternalMount[] {
  const top = container.find(({ mountPoint }) => mountPoint === "/");
  return container.flatMap((mount): ExternalMount[] => {
    const { mountPoint, type } = mount;
    if (mount === top || mountPoint === "/" || ownTypes.has(type)) return [];
    if (type.startsWith("cgroup") && cgroupNamespace) return [];
    if (top !== undefined && isInside(mount, top)) return [];
    const source = sourceOf(mount, machine);
    return source === undefined ? [] : [{ mountPoint, source }];
  });
}

/** A bind of the container's own root, as read-only paths are. */
function isInside(mount: MountInfo, top: MountInfo): boolean {
  return mount.device === top.device && isBelow(mount.root, top.root);
}

/** The shortest way to the same files on the machine. */
function sourceOf(mount: MountInfo, machine: readonly MountInfo[]): string | undefined {
  const ways = machine
    .filter(({ device, root }) => device === mount.device && isBelow(mount.root, root))
    .map(({ root, mountPoint }) => join(mountPoint, rest(mount.root, root)));
  return ways.sort((a, b) => a.length - b.length)[0];
}

export function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

/** What of a path comes behind the directory: "" or "/…". */
export function rest(path: string, directory: string): string {
  return directory === "/" ? (path === "/" ? "" : path) : path.slice(directory.length);
}

function join(directory: string, below: string): string {
  if (below === "") return directory;
  return directory === "/" ? below : directory + below;
}
