import { readFileSync } from "node:fs";

/** What this process may do, decided once. */
export interface Rights {
  /** Root, perhaps of a user namespace only, as under rootless podman: the mounts that it sees are its own to change. */
  readonly root: boolean;
  /** Root of the machine: nothing is forbidden by whose the machine is. */
  readonly machineRoot: boolean;
}

/** The pure half: the effective uid and /proc/self/uid_map (user_namespaces(7)). */
export function toRights(uid: number, uidMap: string): Rights {
  const root = uid === 0;
  return { root, machineRoot: root && /^\s*0\s+0\s+4294967295\s*$/.test(uidMap) };
}

const CAP_SETGID = 6n;
const CAP_SYS_ADMIN = 21n;

/** Whether /proc/<pid>/status has CAP_SYS_ADMIN in its effective set. */
export function isAdministrator(status: string): boolean {
  return hasCapability(status, CAP_SYS_ADMIN);
}

/** The same of CAP_SETGID. */
export function maySetGroups(status: string): boolean {
  return hasCapability(status, CAP_SETGID);
}

function hasCapability(status: string, capability: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

let own: Rights | undefined;

export function ownRights(): Rights {
  own ??= toRights(process.geteuid?.() ?? 0, readFileSync("/proc/self/uid_map", "latin1"));
  return own;
}
