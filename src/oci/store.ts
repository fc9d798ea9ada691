import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parseSpec, type Spec } from "../bundle/spec.ts";
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
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
    try {
      mkdirSync(this.directory(id), { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST")
        throw new TandemError("already_exists", `container ${id}: already exists`);
      throw TandemError.from(error, "--root");
    }
  }

  save(record: ContainerRecord): void {
    const path = join(this.directory(record.id), STATE);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** @throws TandemError not_found ("does not exist", which callers look for) */
  load(id: string): ContainerRecord {
    checkId(id);
    let text: string;
    try {
      text = readFileSync(join(this.directory(id), STATE), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT")
        throw new TandemError("not_found", `container ${id}: does not exist`);
      throw TandemError.from(error, `container ${id}`);
    }
    const record = JSON.parse(text) as ContainerRecord;
    return { ...record, spec: parseSpec(JSON.stringify(record.spec)) };
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
    rmSync(this.directory(id), { recursive: true, force: true });
  }

  /** The socket on which a created container waits for its start. The descriptor is the caller's. */
  listenForStart(id: string): number {
    return this.#shortly(id, (path) => native.listenSeqpacket(path));
  }

  /** @throws TandemError failed_precondition when the container is not waiting for a start */
  connectForStart(id: string): number {
    try {
      return this.#shortly(id, (path) => native.connectSeqpacket(path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
      throw new TandemError("failed_precondition", `container ${id}: is not waiting for its start`);
    }
  }

  isWaitingForStart(id: string): boolean {
    return existsSync(join(this.directory(id), STARTER));
  }

  started(id: string): void {
    rmSync(join(this.directory(id), STARTER), { force: true });
  }

  directory(id: string): string {
    return join(this.root, id);
  }

  /** A socket's path may have 107 bytes, and `--root` is long with some callers. */
  #shortly(id: string, use: (path: string) => number): number {
    const directory = openSync(this.directory(id), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      return use(`/proc/self/fd/${directory}/${STARTER}`);
    } finally {
      closeSync(directory);
    }
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
