import { existsSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { processStat } from "../../src/process-stat.ts";

/** What tells the things of one private containerd from the rest of the machine's. */
export interface Owner {
  /** Its directory: in the command line or environment of every shim, above every mount and socket. */
  readonly directory: string;
  /** Its containerd namespaces; containers' cgroups lie below /<namespace> unless their spec says otherwise. */
  readonly namespaces: readonly string[];
  /** Processes that are meant to be there: containerd, the holder of its network namespace. */
  readonly pids: readonly number[];
}

export interface OwnedProcess {
  readonly pid: number;
  readonly name: string;
  readonly command: string;
}

/** Processes of the zygote's own household: they hold nothing of any container, and stay for the next start. */
const householdNames = /^tandem-(zygote|resolve|spare|server|code)/;

/** Everything that is still there of shims and containers, one line each. Empty when all was cleaned up. */
export function listLeftovers(owner: Owner): string[] {
  return [
    ...ownedProcesses(owner)
      .filter(({ name }) => !householdNames.test(name))
      .map(({ pid, name, command }) => `process ${pid} ${name}: ${command}`),
    ...mountsBelow(owner.directory).map((mount) => `mount ${mount}`),
    ...containerCgroups(owner.namespaces).map((cgroup) => `cgroup ${cgroup}`),
    ...names(join(owner.directory, "run/s"))
      .filter((name) => name !== ".lock")
      .map((name) => `socket ${name}`),
    ...owner.namespaces.flatMap((namespace) =>
      names(join(owner.directory, "state/io.containerd.runtime.v2.task", namespace)).map(
        (id) => `bundle ${namespace}/${id}`,
      ),
    ),
  ];
}

/** All processes of the owner but those that are meant to be there: by environment, command line or cgroup. */
export function ownedProcesses(owner: Owner): OwnedProcess[] {
  const found: OwnedProcess[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || owner.pids.includes(pid)) continue;
    if (isInitsToReap(pid)) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll("\0", " ").trim();
    const inCgroup = owner.namespaces.some((namespace) =>
      read(`/proc/${pid}/cgroup`).includes(`/${namespace}/`),
    );
    const named = `${command}\0${read(`/proc/${pid}/environ`)}`.includes(`${owner.directory}/`);
    if (inCgroup || named) found.push({ pid, name: read(`/proc/${pid}/comm`).trim(), command });
  }
  return found;
}

/** A zombie whose parent died is reaped by process 1 in its own good time; one with a living parent is that one's fault. */
function isInitsToReap(pid: number): boolean {
  const stat = processStat(pid);
  return stat?.state === "Z" && stat.parent === 1;
}

/** Mount points below a directory, deepest first. */
export function mountsBelow(directory: string): string[] {
  return read("/proc/self/mountinfo")
    .split("\n")
    .map((line) => (line.split(" ")[4] ?? "").replaceAll("\\040", " "))
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse();
}

/** Directories below /<namespace> of every hierarchy, deepest first; an empty parent is not a container's. */
export function containerCgroups(namespaces: readonly string[]): string[] {
  return cgroupParents(namespaces).flatMap((parent) => descendants(parent).reverse());
}

/** Removes what is below /<namespace> of every hierarchy and the directory itself. False while one is still busy with the dying. */
export function removeCgroups(namespaces: readonly string[]): boolean {
  let done = true;
  for (const directory of [...containerCgroups(namespaces), ...cgroupParents(namespaces)]) {
    try {
      rmdirSync(directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
      done = false;
    }
  }
  return done;
}

function cgroupParents(namespaces: readonly string[]): string[] {
  const root = "/sys/fs/cgroup";
  const hierarchies = [root, ...names(root).map((name) => join(root, name))];
  return hierarchies
    .flatMap((hierarchy) => namespaces.map((name) => join(hierarchy, name)))
    .filter((path) => existsSync(path));
}

function descendants(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(directory, entry.name), ...descendants(join(directory, entry.name))]);
}

function names(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** A process may end while it is looked at; then there is nothing to read. */
function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
