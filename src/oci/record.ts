import { parseExactly } from "../bundle/exact-json.ts";
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
import { TandemError } from "../errors.ts";
import type { SystemdUnit } from "../isolation/cgroup.ts";

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
  /** Of one that has no process yet, nothing but the version. */
  readonly spec: Spec;
}

export const RECORD_FILE = "state.json";
const RESCUE = "delete --force removes what it finds of it";

/** unix(7): an abstract one begins with a NUL. */
const socketName: Shape<string> = (value, path) =>
  typeof value === "string" && value.startsWith("\0")
    ? `\0${text(value.slice(1), path)}`
    : absolutePath(value, path);

/** What is removed by it must not lead elsewhere. */
const cgroupPath: Shape<string> = (value, path) => {
  const directory = absolutePath(value, path);
  if (!directory.split("/").includes("..")) return directory;
  throw new TandemError("invalid_argument", `${path}: must be a path without ..`);
};

/** proc_pid_stat(5). One that is no number is no sign that the process is another. */
const clockTicks: Shape<string> = (value, path) => {
  const ticks = text(value, path);
  if (/^\d+$/.test(ticks)) return ticks;
  throw new TandemError("invalid_argument", `${path}: must be a number`);
};

const pidShape = integer(0, 2 ** 22);
const cgroupsShape = list(cgroupPath);
const unitShape = object({ name: text, addresses: list(object({ path: socketName, direct: flag })) });

const recordShape = object({
  id: text,
  bundle: absolutePath,
  rootfs: absolutePath,
  pid: pidShape,
  startTime: text,
  created: text,
  owner: uint32,
  cgroups: cgroupsShape,
  unit: optional(unitShape),
  noNewKeyring: flag,
  complete: flag,
  spec: checkedElsewhere<Spec>(),
});

/** @throws TandemError failed_precondition when it is no record, or another container's */
export function parseRecord(content: string, id: string): ContainerRecord {
  let record: ContainerRecord;
  try {
    record = recordShape(parseExactly(content, exactKeys), RECORD_FILE);
    record = { ...record, spec: checkSpec(record.spec) };
  } catch (error) {
    throw new TandemError("failed_precondition", `container ${id}: ${RECORD_FILE} is damaged: ${RESCUE}`, {
      cause: error,
    });
  }
  if (record.id === id) return record;
  throw new TandemError("failed_precondition", `container ${id}: ${RECORD_FILE} is another's: ${RESCUE}`);
}

/** What a damaged record still says of where the container's processes are: each part by itself. */
export interface LegibleParts {
  readonly process?: Pick<ContainerRecord, "pid" | "startTime">;
  readonly cgroups?: readonly string[];
  readonly unit?: SystemdUnit;
}

/** Nothing is believed of one that does not say whose it is. */
export function legibleParts(content: string, id: string): LegibleParts {
  const record = read(() => object({ id: text })(JSON.parse(content), RECORD_FILE));
  if (record?.id !== id) return {};
  const whole: Readonly<Record<string, unknown>> = { ...record };
  const process = read(() => object({ pid: integer(2, 2 ** 22), startTime: clockTicks })(whole, RECORD_FILE));
  const cgroups = read(() => cgroupsShape(whole["cgroups"], RECORD_FILE));
  const unit = read(() => unitShape(whole["unit"], RECORD_FILE));
  return {
    ...(process === undefined ? {} : { process: { pid: process.pid, startTime: process.startTime } }),
    ...(cgroups === undefined ? {} : { cgroups }),
    ...(unit === undefined ? {} : { unit }),
  };
}

/** undefined for what is damaged. */
function read<T>(part: () => T): T | undefined {
  try {
    return part();
  } catch (error) {
    if (error instanceof TandemError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
