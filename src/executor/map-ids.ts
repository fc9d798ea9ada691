import { execFile } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { TandemError } from "../errors.ts";
import type { IdMaps } from "../isolation/namespaces.ts";
import { userNamespaceError } from "../isolation/user-namespace.ts";
import { ownRights } from "../rights.ts";

const PROPERTY = "linux.uidMappings, linux.gidMappings";

/**
 * Maps the ids of a new user namespace; until then its processes have none. Root writes any map, others the one line of their
 * own id; ranges are granted by /etc/subuid and /etc/subgid and written by the set-uid programs of Debian's package uidmap.
 *
 * @throws TandemError naming the property, and what is missing where somebody who is not root asks for ranges
 */
export async function mapIds(pid: number, maps: IdMaps): Promise<void> {
  if (ownRights().root) return writeMaps(pid, maps);
  // Side by side: neither needs the other.
  const done = await Promise.allSettled([mapUids(pid, maps.uids), mapGids(pid, maps.gids)]);
  for (const one of done) if (one.status === "rejected") throw one.reason;
}

async function mapUids(pid: number, uids: string): Promise<void> {
  if (!isOwnId(uids, process.geteuid?.())) return runHelper("uid", pid, uids);
  write(pid, "uid_map", uids);
}

async function mapGids(pid: number, gids: string): Promise<void> {
  if (!isOwnId(gids, process.getegid?.())) return runHelper("gid", pid, gids);
  // The kernel wants this given up first: groups may also forbid something to their members (user_namespaces(7)).
  write(pid, "setgroups", "deny");
  write(pid, "gid_map", gids);
}

/** Both maps as they are: for root. */
export function writeMaps(pid: number, maps: IdMaps): void {
  write(pid, "gid_map", maps.gids);
  write(pid, "uid_map", maps.uids);
}

function write(pid: number, file: string, text: string): void {
  try {
    writeFileSync(`/proc/${pid}/${file}`, text);
  } catch (error) {
    throw userNamespaceError(error, PROPERTY);
  }
}

/** Whether the kernel lets this id map it without a helper: one line, one id, one's own. */
export function isOwnId(map: string, own: number | undefined): boolean {
  return new RegExp(`^\\d+ ${own} 1\n$`).test(map);
}

/** The directory of users may be a network away. */
const HELPER_TIMEOUT_MS = 30_000;

const run = promisify(execFile);

async function runHelper(kind: "uid" | "gid", pid: number, map: string): Promise<void> {
  const property = kind === "uid" ? "linux.uidMappings" : "linux.gidMappings";
  const helper = helperPath(kind, property);
  try {
    await run(helper, [String(pid), ...map.split(/\s/).filter(Boolean)], {
      env: {},
      cwd: "/",
      timeout: HELPER_TIMEOUT_MS,
    });
  } catch (error) {
    const { stderr = "", message } = error as Error & { readonly stderr?: string };
    const reason = stderr.trim() || message;
    throw new TandemError("permission_denied", `${property}: ${reason} (${helper}); ${grantOf(kind)}`, {
      cause: error,
    });
  }
}

/** What this user has, in words. */
function grantOf(kind: "uid" | "gid"): string {
  const file = `/etc/sub${kind}`;
  const uid = String(process.getuid?.());
  const names = [uid, nameOf(uid)];
  let granted: string[];
  try {
    granted = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => names.includes(line.split(":", 1)[0]));
  } catch {
    // Not readable is as good as not there: then it grants nothing.
    granted = [];
  }
  return granted.length === 0
    ? `${file} has no range for this user (uid ${uid})`
    : `${file} has ${granted.join(", ")} for this user`;
}

function nameOf(uid: string): string | undefined {
  const entries = readFileSync("/etc/passwd", "utf8").split("\n");
  return entries.map((line) => line.split(":")).find((fields) => fields[2] === uid)?.[0];
}

/**
 * Not by PATH, which may lead anywhere; and root's alone to change.
 *
 * @throws TandemError failed_precondition when it is not there, or not root's
 */
export function helperPath(kind: "uid" | "gid", property: string, directory = "/usr/bin"): string {
  const path = `${directory}/new${kind}map`;
  let status: ReturnType<typeof statSync>;
  try {
    status = statSync(path);
  } catch (error) {
    throw new TandemError(
      "failed_precondition",
      `${property}: ranges need ${path}, which is not installed (Debian: package uidmap)`,
      { cause: error },
    );
  }
  if (status.uid !== 0 || (status.mode & 0o022) !== 0)
    throw new TandemError("failed_precondition", `${property}: ${path} is not root's alone`);
  return path;
}
