import type { Spec, SpecIdMapping } from "../bundle/spec.ts";
import { TandemError } from "../errors.ts";

/** Of a map, user_namespaces(7). */
const MOST_MAPPINGS = 340;
const IDS = 2 ** 32;

/**
 * What the kernel refuses of a map without saying which line it means.
 *
 * @throws TandemError invalid_argument naming the mapping
 */
export function checkMappings(mappings: readonly SpecIdMapping[], property: string): void {
  const refuse = (name: string, reason: string): never => {
    throw new TandemError("invalid_argument", `${name}: ${reason}`);
  };
  if (mappings.length > MOST_MAPPINGS) refuse(property, `the kernel takes ${MOST_MAPPINGS} at most`);
  for (const [index, mapping] of mappings.entries()) {
    const at = `${property}[${index}]`;
    if (mapping.size === 0) refuse(`${at}.size`, "maps nothing");
    for (const side of ["containerID", "hostID"] as const) {
      // The last id of all, (uid_t) -1, means none.
      if (mapping[side] + mapping.size >= IDS)
        refuse(`${at}.${side}`, "goes beyond the last id with this size");
      const other = mappings.slice(0, index).findIndex((one) => overlap(one, mapping, side));
      if (other >= 0) refuse(`${at}.${side}`, `overlaps ${property}[${other}]`);
    }
  }
}

function overlap(a: SpecIdMapping, b: SpecIdMapping, side: "containerID" | "hostID"): boolean {
  return a[side] < b[side] + b.size && b[side] < a[side] + a.size;
}

/**
 * Who the container is set up as, root, and who its process becomes must exist in a new user namespace.
 *
 * @throws TandemError invalid_argument naming the property
 */
export function checkMapped({ linux, process }: Spec): void {
  const { uidMappings: uids = [], gidMappings: gids = [] } = linux ?? {};
  requireMapped(0, uids, "linux.uidMappings", "linux.uidMappings");
  requireMapped(0, gids, "linux.gidMappings", "linux.gidMappings");
  requireMapped(process?.user?.uid ?? 0, uids, "process.user.uid", "linux.uidMappings");
  requireMapped(process?.user?.gid ?? 0, gids, "process.user.gid", "linux.gidMappings");
  for (const [index, gid] of (process?.user?.additionalGids ?? []).entries())
    requireMapped(gid, gids, `process.user.additionalGids[${index}]`, "linux.gidMappings");
}

function requireMapped(id: number, mappings: readonly SpecIdMapping[], property: string, by: string): void {
  if (mappings.some(({ containerID, size }) => containerID <= id && id < containerID + size)) return;
  throw new TandemError("invalid_argument", `${property}: ${by} maps no ${id}`);
}
