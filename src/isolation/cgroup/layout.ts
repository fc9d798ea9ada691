import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { TandemError } from "../../errors.ts";

/** One mounted cgroup hierarchy. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** v1: what the mount offers, as /proc/self/cgroup writes it: ["cpu", "cpuacct"] or ["name=systemd"]. v2: empty. */
  readonly controllers: readonly string[];
  readonly mountPoint: string;
  /** This process's own cgroup as a directory below mountPoint; undefined when the mount does not show it. */
  readonly ownDirectory: string | undefined;
}

/** How this machine mounts cgroups: "v1" alone, "v2" alone, or "hybrid", where v1 has controllers and v2 is beside it. */
export interface CgroupLayout {
  readonly mode: "v1" | "hybrid" | "v2";
  readonly hierarchies: readonly Hierarchy[];
}

let cached: CgroupLayout | undefined;

/**
 * The machine's layout, read once per process; the zygote calls it while it warms up, so that its children never read
 * /proc/self/mountinfo. Mounts made later are not seen: no system moves its cgroups while containers run.
 *
 * @throws TandemError failed_precondition when no cgroup file system is mounted.
 */
export function cgroupLayout(): CgroupLayout {
  cached ??= parseLayout(
    readFileSync("/proc/self/mountinfo", "utf8"),
    readFileSync("/proc/self/cgroup", "utf8"),
  );
  return cached;
}

/** The same, with another process's membership for this one's. @throws TandemError; ENOENT when it is gone */
export function cgroupLayoutAt(pid: number): CgroupLayout {
  return parseLayout(
    readFileSync("/proc/self/mountinfo", "utf8"),
    readFileSync(`/proc/${pid}/cgroup`, "utf8"),
  );
}

/** The pure part of `cgroupLayout`: mountinfo as in proc_pid_mountinfo(5), membership as in cgroups(7). */
export function parseLayout(mountinfo: string, membership: string): CgroupLayout {
  const own = parseMembership(membership);
  const mounts = mountinfo.split("\n").flatMap((line) => parseMount(line) ?? []);
  const hierarchies: Hierarchy[] = [];
  for (const mount of mounts) {
    const hierarchy = toHierarchy(mount, own);
    if (hierarchy === undefined || isHidden(mount, mounts)) continue;
    if (!hierarchies.some((known) => isSame(known, hierarchy))) hierarchies.push(hierarchy);
  }
  if (hierarchies.length === 0)
    throw new TandemError("failed_precondition", "no cgroup file system is mounted");
  const hasV2 = hierarchies.some((hierarchy) => hierarchy.version === 2);
  const hasV1 = hierarchies.some(({ controllers }) => controllers.some((name) => !name.startsWith("name=")));
  return { mode: hasV1 || !hasV2 ? (hasV2 ? "hybrid" : "v1") : "v2", hierarchies };
}

/** "4:memory:/user.slice" → "memory" ↦ "/user.slice". The v2 line has no controllers: "" ↦ path. */
function parseMembership(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match?.[1] === undefined || match[2] === undefined) continue;
    paths.set(match[1], match[2]);
  }
  return paths;
}

/** One line of mountinfo. */
interface Mount {
  readonly id: string;
  readonly parent: string;
  readonly root: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly options: readonly string[];
}

function parseMount(line: string): Mount | undefined {
  const [left, right] = line.split(" - ");
  const [id, parent, , root, mountPoint] = left?.split(" ") ?? [];
  const [type, , options] = right?.split(" ") ?? [];
  if (id === undefined || parent === undefined || root === undefined || mountPoint === undefined)
    return undefined;
  if (type === undefined || options === undefined) return undefined;
  return {
    id,
    parent,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(mountPoint),
    type,
    options: options.split(","),
  };
}

/** Something was mounted over the mount, or over a directory on the way to it, after it: its path leads elsewhere now. */
function isHidden(mount: Mount, mounts: readonly Mount[]): boolean {
  const byId = new Map(mounts.map((other) => [other.id, other]));
  const way = new Set<string>();
  for (
    let step: Mount | undefined = mount;
    step !== undefined && !way.has(step.id);
    step = byId.get(step.parent)
  )
    way.add(step.id);
  return mounts.some(
    (other) =>
      !way.has(other.id) &&
      way.has(other.parent) &&
      `${mount.mountPoint}/`.startsWith(`${other.mountPoint}/`.replace("//", "/")),
  );
}

function toHierarchy(mount: Mount, own: ReadonlyMap<string, string>): Hierarchy | undefined {
  const { mountPoint } = mount;
  if (mount.type === "cgroup2") {
    return { version: 2, controllers: [], mountPoint, ownDirectory: ownIn(mount, own.get("")) };
  }
  if (mount.type !== "cgroup") return undefined;
  // Co-mounted controllers stand in one order in mountinfo and in another in /proc/self/cgroup: compare as sets.
  for (const [key, path] of own) {
    const controllers = key.split(",");
    if (key === "" || !controllers.every((name) => mount.options.includes(name))) continue;
    return { version: 1, controllers, mountPoint, ownDirectory: ownIn(mount, path) };
  }
  return undefined;
}

/** A mount may show only a part of the hierarchy (a container without a cgroup namespace): own path minus the mount's root. */
function ownIn({ root, mountPoint }: Mount, path: string | undefined): string | undefined {
  if (path === undefined || path.startsWith("/..") || root.startsWith("/..")) return undefined;
  const relative = posix.relative(root, path);
  return relative.startsWith("..") ? undefined : posix.join(mountPoint, relative);
}

function isSame(left: Hierarchy, right: Hierarchy): boolean {
  return left.version === right.version && left.controllers.join() === right.controllers.join();
}

/** mountinfo writes blanks and backslashes in octal. */
function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
