import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { exactJson } from "../bundle/exact-json.ts";
import { directories } from "../directories.ts";
import { TandemError } from "../errors.ts";
import { native } from "../native.ts";
import { type ContainerRecord, type LegibleParts, legibleParts, parseRecord, RECORD_FILE } from "./record.ts";

/** A directory, whatever becomes of its name. */
export type Identity = Pick<Stats, "dev" | "ino">;

const STARTER = "start.sock";
/** The containers of one `--root`. */
export class Store {
  /** Where containers are kept unless `--root` says otherwise. */
  static readonly usual = join(directories.run, "oci");
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Makes the container's directory. @throws TandemError invalid_argument, already_exists */
  reserve(id: string): Identity {
    checkId(id);
    try {
      makeDirectories(this.root);
      mkdirSync(this.directory(id), { mode: 0o700 });
      const { dev, ino } = lstatSync(this.directory(id));
      return { dev, ino };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw TandemError.from(error, "--root");
      throw this.#taken(id);
    }
  }

  /** @throws TandemError invalid_argument, already_exists */
  requireFree(id: string): void {
    if (this.has(id)) throw this.#taken(id);
  }

  #taken(id: string): TandemError {
    const rest = existsSync(join(this.directory(id), RECORD_FILE))
      ? ""
      : "; it is being made, or its creation was cut off: delete --force removes what is left of it";
    return new TandemError("already_exists", `container ${id}: already exists${rest}`);
  }

  save(record: ContainerRecord): void {
    this.#within(record.id, (directory) => {
      const path = `${directory}/${RECORD_FILE}`;
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
      content = this.#within(id, (directory) => readOwn(`${directory}/${RECORD_FILE}`, id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT")
        throw new TandemError("not_found", `container ${id}: does not exist`);
      throw TandemError.from(error, `container ${id}`);
    }
    return parseRecord(content, id);
  }

  /** What a record that `load` takes for damaged still says. */
  legibleParts(id: string): LegibleParts {
    return legibleParts(
      this.#within(id, (directory) => readOwn(`${directory}/${RECORD_FILE}`, id)),
      id,
    );
  }

  /** Also a directory that a killed client left half-made. */
  has(id: string): boolean {
    checkId(id);
    return existsSync(this.directory(id));
  }

  /** Whether a container is still the one whose directory this is. */
  isStill(id: string, own: Identity): boolean {
    return isStill(this.directory(id), own);
  }

  ids(): string[] {
    if (!existsSync(this.root)) return [];
    return readdirSync(this.root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && isId(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  /**
   * Removes whatever there is of a container.
   *
   * @param own only if it is this one: by its name it may be another's by now
   * @throws TandemError permission_denied when somebody else could have put it there; failed_precondition for what is no directory
   */
  remove(id: string, own?: Identity): void {
    checkId(id);
    try {
      this.#within(id, (directory, identity) => {
        if (own !== undefined && !isSame(own, identity)) return;
        // All that there is, once a container was started.
        rmSync(`${directory}/${RECORD_FILE}`, { force: true });
        if (this.#removeEmpty(id, identity)) return;
        for (const name of readdirSync(directory))
          rmSync(`${directory}/${name}`, { recursive: true, force: true });
        this.#removeEmpty(id, identity);
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (code === "ENOTDIR" || code === "ELOOP")
        throw new TandemError(
          "failed_precondition",
          `container ${id}: ${this.directory(id)} is no directory`,
        );
      throw TandemError.from(error, `container ${id}`);
    }
  }

  /** False when there is something in it. By its name it may be another's by now: then there is nothing to do. */
  #removeEmpty(id: string, identity: Identity): boolean {
    const path = this.directory(id);
    try {
      if (isStill(path, identity)) rmdirSync(path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
      return false;
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
  #within<T>(id: string, use: (directory: string, identity: Identity) => T): T {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
    const fd = openSync(this.directory(id), flags);
    try {
      return use(`/proc/self/fd/${fd}`, requireOwn(fd, id));
    } finally {
      closeSync(fd);
    }
  }
}

export function isStill(directory: string, own: Identity): boolean {
  const status = lstatSync(directory, { throwIfNoEntry: false });
  return status !== undefined && isSame(status, own);
}

function isSame(one: Identity, other: Identity): boolean {
  return one.dev === other.dev && one.ino === other.ino;
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
function requireOwn(fd: number, id: string): Identity {
  const status = fstatSync(fd);
  if (status.uid === process.geteuid?.() && (status.mode & 0o022) === 0) return status;
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
