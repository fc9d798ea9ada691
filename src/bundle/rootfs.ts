import { closeSync, mkdirSync, readlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { constants } from "./mount-flags.ts";
import { parseMountOptions } from "./mount-options.ts";

/** containerd.types.Mount, as the Create request carries it. */
export interface RootfsMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** The mounted root file system of a container and how to take it away again. */
export interface Rootfs {
  readonly path: string;
  readonly mountPoints: readonly string[];
  /** Unmounts what was mounted, last first. Idempotent. */
  unmount(): void;
}

const MAX_MOUNT_DATA = 4095; // one page with its NUL: mount(2)

/**
 * Mounts the snapshot on `<bundle>/rootfs`, entry by entry. Without entries (docker, `ctr --rootfs`) the spec's root.path is
 * used as it is.
 *
 * @throws TandemError naming the mount that failed; what was mounted before it is undone.
 */
export function mountRootfs(bundle: string, mounts: readonly RootfsMount[], rootPath: string): Rootfs {
  const root = join(bundle, "rootfs");
  if (mounts.length === 0)
    return { path: resolve(bundle, rootPath), mountPoints: [], unmount: () => undefined };
  const mountPoints: string[] = [];
  const unmount = (): void => {
    for (let point = mountPoints.at(-1); point !== undefined; point = mountPoints.at(-1)) {
      // MNT_DETACH: a process in D state may hold the mount for a while; its name must be free when containerd removes the bundle.
      while (native.unmount(point, constants.MNT_DETACH));
      mountPoints.pop();
    }
  };
  try {
    for (const mount of mounts) {
      if (mount.target === "") {
        mkdirSync(root, { recursive: true, mode: 0o711 });
        mountOne(mount, () => root);
        mountPoints.push(root);
        continue;
      }
      const point = mountInside(root, mount);
      // What is mounted on something of ours goes with it; its name may be another's by then.
      if (!mountPoints.some((above) => point.startsWith(`${above}/`))) mountPoints.push(point);
    }
  } catch (error) {
    unmount();
    throw TandemError.from(error, "rootfs");
  }
  return { path: root, mountPoints: [...mountPoints], unmount };
}

/** Below the root, which may be an image's by then: its symlinks do not lead out of it. Returns where the mount is. */
function mountInside(root: string, mount: RootfsMount): string {
  if (mount.target.split("/").includes("..")) {
    throw new TandemError("invalid_argument", `mount target ${mount.target}: leaves the rootfs`);
  }
  mkdirSync(root, { recursive: true, mode: 0o711 });
  const opened: number[] = [];
  const open = (): string => {
    const fd = native.makeDirectoryInRoot(root, resolve("/", mount.target));
    opened.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    mountOne(mount, open);
    return readlinkSync(open());
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

/** @param target the mount point's path, looked up anew for each call: after the first, something is mounted there */
function mountOne(mount: RootfsMount, target: () => string): void {
  const { flags, data, loop } = parseMountOptions(mount.options);
  if (loop) throw new TandemError("unimplemented", `mount ${mount.source}: option loop is not supported`);
  if (mount.type.startsWith("fuse.") || mount.type.startsWith("fuse3.")) {
    throw new TandemError("unimplemented", `mount ${mount.source}: type ${mount.type} is not supported`);
  }
  if (mount.options.some((option) => option.startsWith("uidmap=") || option.startsWith("gidmap="))) {
    throw new TandemError("unimplemented", `mount ${mount.source}: id-mapped snapshots are not supported`);
  }
  try {
    if (Buffer.byteLength(data) > MAX_MOUNT_DATA) mountShortened(mount, target(), flags, data);
    else native.mount(mount.source, target(), mount.type, flags, data);
  } catch (error) {
    // mount(2) says "no such device" of a type that the kernel does not have.
    throw TandemError.from(error, mount.type === "" ? undefined : `type ${mount.type}`);
  }
  const readOnlyBind = (flags & constants.MS_BIND) !== 0 && (flags & constants.MS_RDONLY) !== 0;
  // A bind mount takes no flags but MS_REC; the rest needs a remount (mount(2), "Remounting an existing mount").
  if (readOnlyBind)
    native.mount("none", target(), "", (flags & ~constants.MS_REC) | constants.MS_REMOUNT, "");
}

/**
 * Overlay with many layers: the option string of absolute paths is longer than the page that mount(2) takes. Run from the
 * directory that the layers share, the paths become short, as containerd's own mount code does it.
 */
function mountShortened(mount: RootfsMount, target: string, flags: number, data: string): void {
  const lower = /(?:^|,)lowerdir=([^,]*)/.exec(data)?.[1];
  if (mount.type !== "overlay" || lower === undefined) {
    throw new TandemError("invalid_argument", `mount ${mount.source}: options are longer than a page`);
  }
  const directories = lower.split(":");
  const prefix = commonDirectory(directories);
  const short = data.replace(lower, directories.map((path) => path.slice(prefix.length)).join(":"));
  if (prefix === "" || Buffer.byteLength(short) > MAX_MOUNT_DATA) {
    throw new TandemError(
      "invalid_argument",
      `mount ${mount.source}: ${directories.length} layers do not fit into a page`,
    );
  }
  const previous = process.cwd();
  process.chdir(prefix);
  try {
    native.mount(mount.source, target, mount.type, flags, short);
  } finally {
    process.chdir(previous);
  }
}

function commonDirectory(paths: readonly string[]): string {
  let prefix = paths[0] ?? "";
  for (const path of paths) {
    while (!path.startsWith(prefix)) prefix = prefix.slice(0, -1);
  }
  return prefix.slice(0, prefix.lastIndexOf("/") + 1);
}
