import type { Spec } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import { checkMappings } from "./id-mappings.ts";
import type { Step } from "./steps.ts";

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time";

/** Whether the container's namespace of a kind is not the runtime's. */
export type OwnNamespace = (type: NamespaceType) => boolean;

/** CLONE_NEW* of each, from linux/sched.h. */
export const namespaceFlags: Readonly<Record<NamespaceType, number>> = {
  time: 0x80,
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
};

/** Name of each below /proc/<pid>/ns. */
export const namespaceFiles: Readonly<Record<NamespaceType, string>> = {
  time: "time",
  mount: "mnt",
  cgroup: "cgroup",
  uts: "uts",
  ipc: "ipc",
  user: "user",
  pid: "pid",
  network: "net",
};

/** What becomes of each kind of namespace. A kind that is nowhere here stays the runtime's. */
export interface NamespacePlan {
  /** Made by clone3. */
  readonly flags: number;
  readonly joins: readonly {
    readonly type: NamespaceType;
    readonly path: string;
    readonly property: string;
  }[];
  readonly created: ReadonlySet<NamespaceType>;
}

/**
 * @throws TandemError invalid_argument for a type given twice, mappings without a user namespace, offsets without a new
 * time namespace
 */
export function planNamespaces(linux: Spec["linux"]): NamespacePlan {
  const created = new Set<NamespaceType>();
  const joins: { type: NamespaceType; path: string; property: string }[] = [];
  const seen = new Set<NamespaceType>();
  for (const [index, { type, path }] of (linux?.namespaces ?? []).entries()) {
    const at = `linux.namespaces[${index}]`;
    if (seen.has(type)) throw new TandemError("invalid_argument", `${at}.type: ${type} is given twice`);
    seen.add(type);
    if (path === undefined || path === "") created.add(type);
    else if (path.startsWith("/")) joins.push({ type, path, property: `${at} ${type}` });
    else throw new TandemError("invalid_argument", `${at}.path: ${shown(path)} is not absolute`);
  }
  check(linux, created, seen);
  let flags = 0;
  for (const type of created) if (type !== "cgroup" && type !== "time") flags |= namespaceFlags[type];
  return { flags: flags >>> 0, joins, created };
}

function check(
  linux: Spec["linux"],
  created: ReadonlySet<NamespaceType>,
  seen: ReadonlySet<NamespaceType>,
): void {
  const refuse = (property: string, reason: string): never => {
    throw new TandemError("invalid_argument", `${property}: ${reason}`);
  };
  for (const key of ["uidMappings", "gidMappings"] as const) {
    const mappings = linux?.[key] ?? [];
    if (mappings.length > 0 && !seen.has("user")) refuse(`linux.${key}`, "needs a user namespace");
    if (mappings.length === 0 && created.has("user"))
      refuse(`linux.${key}`, "a new user namespace needs mappings");
    checkMappings(mappings, `linux.${key}`);
  }
  if (Object.keys(linux?.timeOffsets ?? {}).length > 0 && !created.has("time")) {
    refuse("linux.timeOffsets", "needs a new time namespace");
  }
}

/** Contents of /proc/<pid>/uid_map and gid_map. */
export interface IdMaps {
  readonly uids: string;
  readonly gids: string;
}

/** Lines of /proc/<pid>/uid_map or gid_map. */
export function idMapText(mappings: NonNullable<Spec["linux"]>["uidMappings"]): string {
  return (mappings ?? [])
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join("");
}

/** Half of KTIME_SEC_MAX, as kernel/time/namespace.c has it. */
const LARGEST_OFFSET = Math.floor(Number(2n ** 63n / 1_000_000_000n) / 2);

/**
 * @throws TandemError invalid_argument for a clock that has no offset, and for an offset that no clock can have
 */
export function timeSteps(linux: Spec["linux"], created: ReadonlySet<NamespaceType>): Step[] {
  if (!created.has("time")) return [];
  const lines = Object.entries(linux?.timeOffsets ?? {}).map(([clock, { secs, nanosecs }]) => {
    if (clock !== "monotonic" && clock !== "boottime") {
      throw new TandemError(
        "invalid_argument",
        `linux.timeOffsets.${shown(clock)}: only monotonic and boottime have offsets`,
      );
    }
    const at = `linux.timeOffsets.${clock}`;
    if (Math.abs(secs ?? 0) > LARGEST_OFFSET)
      throw new TandemError("invalid_argument", `${at}.secs: ${secs} is beyond what a clock can show`);
    if ((nanosecs ?? 0) >= 1e9)
      throw new TandemError("invalid_argument", `${at}.nanosecs: ${nanosecs} is a second or more`);
    return `${clock} ${secs ?? 0} ${nanosecs ?? 0}\n`;
  });
  return [{ op: "newTime", property: "linux.timeOffsets", offsets: lines.join("") }];
}
