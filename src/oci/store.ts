import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { exactJson, parseExactly } from "../bundle/exact-json.ts";
import {
  absolutePath,
  checkedElsewhere,
  flag,
  integer,
  list,
  object,
  optional,
  type Shape,
  text,
  uint32,
} from "../bundle/shape.ts";
import { checkSpec, exactKeys, type Spec } from "../bundle/spec.ts";
import { directories } from "../directories.ts";
import { TandemError } from "../errors.ts";
import type { SystemdUnit } from "../isolation/cgroup.ts";
import { native } from "../native.ts";

/** What is known of a container between two command lines: `<root>/<id>/state.json`. */
export interface ContainerRecord {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** 0 until there is a process. */
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat, so that a number that is used again is not taken for it. */
  readonly startTime: string;
  /** ISO 8601. */
  readonly created: string;
  /** uid of who created it. */
  readonly owner: number;
  readonly cgroups: readonly string[];
  /** With the systemd cgroup driver. */
  readonly unit?: SystemdUnit | undefined;
  readonly noNewKeyring: boolean;
  /** Whether creation has come to its end. */
  readonly complete: boolean;
  readonly spec: Spec;
}

const STATE = "state.json";
const STARTER = "start.sock";
const RESCUE = "delete --force removes what it finds of it";

/** The containers of one `--root`. */
export class Store {
  /** Where containers are kept unless `--root` says otherwise. */
  static readonly usual = join(directories.run, "oci");
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the container's directory. @throws TandemError invalid_argument, already_exists */
  reserve(id: string): void {
    checkId(id);
    try {
      makeDirectories(this.root);
      mkdirSync(this.directory(id), { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw TandemError.from(error, "--root");
      const rest = existsSync(join(this.directory(id), STATE))
        ? ""
        : "; it is being made, or its creation was cut off: delete --force removes what is left of it";
      throw new TandemError("already_exists", `container ${id}: already exists${rest}`);
    }
  }

  save(record: ContainerRecord): void {
    this.#within(record.id, (directory) => {
      const path = `${directory}/${STATE}`;
      // Beside it and then in its place: whoever reads meanwhile reads all of the one or of the other.
      writeNew(`${path}.new`, exactJson(record));
      renameSync(`${path}.new`, path);
    });
  }

  /** @throws TandemError not_found ("does not exist", which callers look for), or when somebody else could have written it */
  load(id: string): ContainerRecord {
    checkId(id);
    let content: string;
    try {
      content = this.#within(id, (directory) => readOwn(`${directory}/${STATE}`, id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT")
        throw new TandemError("not_found", `container ${id}: does not exist`);
      throw TandemError.from(error, `container ${id}`);
    }
    return parseRecord(content, id);
  }

  /** What a record that `load` takes for damaged still says of the container's cgroups; undefined when it says nothing of them. */
  cgroupsOfDamaged(id: string): readonly string[] | undefined {
    const content = this.#within(id, (directory) => readOwn(`${directory}/${STATE}`, id));
    try {
      return requireOwnId(identityShape(JSON.parse(content), STATE), id).cgroups;
    } catch {
      // Damaged so far.
      return undefined;
    }
  }

  /** Also a directory that a killed client left half-made. */
  has(id: string): boolean {
    checkId(id);
    return existsSync(this.directory(id));
  }

  ids(): string[] {
    if (!existsSync(this.root)) return [];
    return readdirSync(this.root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isId(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  remove(id: string): void {
    checkId(id);
    try {
      // All that there is, once a container was started.
      this.#within(id, (directory) => unlinkSync(`${directory}/${STATE}`));
      rmdirSync(this.directory(id));
    } catch (error) {
      if (error instanceof TandemError && error.code === "permission_denied") throw error;
      // There is more of it, or less.
      rmSync(this.directory(id), { recursive: true, force: true });
    }
  }

  /** The socket on which a created container waits for its start. The descriptor is the caller's. */
  listenForStart(id: string): number {
    return this.#within(id, (directory) => native.listenSeqpacket(`${directory}/${STARTER}`));
  }

  /** @throws TandemError failed_precondition when the container is not waiting for a start */
  connectForStart(id: string): number {
    try {
      return this.#within(id, (directory) => native.connectSeqpacket(`${directory}/${STARTER}`));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
      throw new TandemError("failed_precondition", `container ${id}: is not waiting for its start`);
    }
  }

  isWaitingForStart(id: string): boolean {
    // A container that is deleted at this moment waits for nothing.
    return this.has(id) && this.#within(id, (directory) => existsSync(`${directory}/${STARTER}`));
  }

  started(id: string): void {
    this.#within(id, (directory) => rmSync(`${directory}/${STARTER}`, { force: true }));
  }

  directory(id: string): string {
    return join(this.root, id);
  }

  /**
   * Does something with a container's directory by a path that leads to the one that was looked at, whatever becomes of its name;
   * and that is short, because a socket's path may have 107 bytes and `--root` is long with some callers.
   */
  #within<T>(id: string, use: (directory: string) => T): T {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    const fd = openSync(this.directory(id), flags);
    try {
      requireOwn(fd, id);
      return use(`/proc/self/fd/${fd}`);
    } finally {
      closeSync(fd);
    }
  }
}

/** mkdirSync's own recursion says ENOENT of a file system that is read-only. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  makeDirectories(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Somebody else's call was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** What is acted on with our rights, hooks included, must be ours alone. @throws TandemError permission_denied */
function requireOwn(fd: number, id: string): void {
  const { uid, mode } = fstatSync(fd);
  if (uid === process.geteuid?.() && (mode & 0o022) === 0) return;
  throw new TandemError(
    "permission_denied",
    `container ${id}: its files under --root are not this user's alone`,
  );
}

/** What a server that was killed has left there is nobody's. */
function writeNew(path: string, content: string): void {
  const options = { mode: 0o600, flag: "wx" } as const;
  try {
    writeFileSync(path, content, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    rmSync(path, { force: true });
    writeFileSync(path, content, options);
  }
}

function readOwn(path: string, id: string): string {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    requireOwn(fd, id);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}

/** unix(7): an abstract one begins with a NUL. */
const socketName: Shape<string> = (value, path) =>
  typeof value === "string" && value.startsWith("\0")
    ? `\0${text(value.slice(1), path)}`
    : absolutePath(value, path);

const recordShape = object({
  id: text,
  bundle: absolutePath,
  rootfs: absolutePath,
  pid: integer(0, 2 ** 22),
  startTime: text,
  created: text,
  owner: uint32,
  cgroups: list(absolutePath),
  unit: optional(object({ name: text, addresses: list(object({ path: socketName, direct: flag })) })),
  noNewKeyring: flag,
  complete: flag,
  spec: checkedElsewhere<Spec>(),
});

/** The part of a record that says whose it is and where its processes are. */
const identityShape = object({ id: text, cgroups: list(absolutePath) });

/** @throws TandemError failed_precondition when it is no record, or another container's */
function parseRecord(content: string, id: string): ContainerRecord {
  let record: ContainerRecord;
  try {
    record = recordShape(parseExactly(content, exactKeys), STATE);
    record = { ...record, spec: checkSpec(record.spec) };
  } catch (error) {
    throw new TandemError("failed_precondition", `container ${id}: ${STATE} is damaged: ${RESCUE}`, {
      cause: error,
    });
  }
  return requireOwnId(record, id);
}

function requireOwnId<R extends Pick<ContainerRecord, "id" | "cgroups">>(record: R, id: string): R {
  if (record.id === id && record.cgroups.every((path) => !path.split("/").includes(".."))) return record;
  throw new TandemError("failed_precondition", `container ${id}: ${STATE} is another's: ${RESCUE}`);
}

function isId(id: string): boolean {
  return /^[\w+.-]{1,1024}$/.test(id) && id !== "." && id !== "..";
}

function checkId(id: string): void {
  if (!isId(id))
    throw new TandemError(
      "invalid_argument",
      `container id ${JSON.stringify(id)}: letters, digits and _+.- only`,
    );
}
