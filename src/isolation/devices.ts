import { posix } from "node:path";
import type { Spec, SpecDevice } from "../bundle/spec.ts";
import { shown, TandemError } from "../errors.ts";
import type { Step } from "./steps.ts";

const S_IFCHR = 0o020000;
const S_IFBLK = 0o060000;
const S_IFIFO = 0o010000;
const S_IFMT = 0o170000;

/** runtime-spec, config-linux.md "Default Devices"; /dev/console comes with the terminal, /dev/ptmx as a symlink. */
const defaults: readonly SpecDevice[] = (
  [
    ["null", 1, 3],
    ["zero", 1, 5],
    ["full", 1, 7],
    ["random", 1, 8],
    ["urandom", 1, 9],
    ["tty", 5, 0],
  ] as const
).map(([name, major, minor]) => ({
  type: "c",
  path: `/dev/${name}`,
  major,
  minor,
  fileMode: 0o666,
  uid: 0,
  gid: 0,
}));

/** runtime-spec, config.md and runtime-linux.md "Dev symbolic links". */
const symlinks = [
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
  ["/proc/kcore", "/dev/core"],
  ["pts/ptmx", "/dev/ptmx"],
] as const;

/**
 * The steps that fill /dev. When /dev is bound from the host, its content is the host's and stays.
 *
 * @param userNamespace the kernel allows no mknod in one: the machine's nodes are bound instead
 * @throws TandemError invalid_argument naming the device
 */
export function deviceSteps(spec: Spec, userNamespace: boolean): Step[] {
  const bound = (spec.mounts ?? []).some(
    ({ destination, type, options }) =>
      posix.resolve("/", destination) === "/dev" &&
      (type === "bind" || options?.includes("bind") === true || options?.includes("rbind") === true),
  );
  const own = spec.linux?.devices ?? [];
  const wanted = new Set(own.map(({ path }) => posix.normalize(path)));
  const steps: Step[] = [];
  if (!bound) {
    for (const device of defaults) {
      if (!wanted.has(device.path)) steps.push(deviceStep(device, "linux.devices (default)", userNamespace));
    }
  }
  for (const [index, device] of own.entries()) {
    steps.push(deviceStep(device, `linux.devices[${index}]`, userNamespace));
  }
  if (!bound) {
    for (const [content, path] of symlinks)
      steps.push({ op: "symlink", property: "linux.devices (symlinks)", content, path });
  }
  return steps;
}

/** Of dev_t, linux/kdev_t.h; mknod(2) takes no more. */
const LARGEST_MAJOR = 2 ** 12 - 1;
const LARGEST_MINOR = 2 ** 20 - 1;

/** The bits of the file's kind may be there, as in st_mode, when they say the same as `type`. */
function permissions({ fileMode = 0o666, type }: SpecDevice, kind: number, at: string): number {
  const given = fileMode & S_IFMT;
  if (given !== 0 && given !== kind)
    throw new TandemError(
      "invalid_argument",
      `${at}.fileMode: 0o${fileMode.toString(8)} is of another kind of file than type ${JSON.stringify(type)}`,
    );
  return fileMode & ~S_IFMT;
}

function deviceStep(device: SpecDevice, at: string, userNamespace: boolean): Step {
  const path = posix.normalize(device.path).replace(/(?<=.)\/+$/, "");
  if (path === "/")
    throw new TandemError("invalid_argument", `${at}.path: ${shown(device.path)} is no path of a file`);
  const property = `${at} ${device.path}`;
  const major = deviceNumber(device, "major", LARGEST_MAJOR, at);
  const minor = deviceNumber(device, "minor", LARGEST_MINOR, at);
  const kind = device.type === "b" ? S_IFBLK : device.type === "p" ? S_IFIFO : S_IFCHR;
  return {
    op: "mknod",
    property,
    path,
    mode: kind | permissions(device, kind, at),
    major,
    minor,
    uid: device.uid ?? 0,
    gid: device.gid ?? 0,
    bind: userNamespace && device.type !== "p",
  };
}

/** A FIFO has no numbers that would mean anything. */
function deviceNumber(device: SpecDevice, key: "major" | "minor", largest: number, at: string): number {
  const value = device[key];
  if (value === undefined && device.type === "p") return 0;
  if (value === undefined) throw new TandemError("invalid_argument", `${at}.${key}: is missing`);
  if (value < 0 || value > largest)
    throw new TandemError("invalid_argument", `${at}.${key}: ${value} is not between 0 and ${largest}`);
  return value;
}
