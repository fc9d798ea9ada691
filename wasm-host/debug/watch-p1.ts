import { denials, type Reason } from "./denials.ts";

/** WASI 0.1's errno for what a guest may not do, and for what is not there where it looks. */
const reasons: Readonly<Record<number, Reason>> = {
  2: { what: "denied", because: "not permitted (acces)" },
  44: { what: "missing", because: "there is no such file (noent)" },
  63: { what: "denied", because: "not permitted (perm)" },
  69: { what: "denied", because: "read-only (rofs)" },
  76: { what: "denied", because: "not granted (notcapable)" },
};

/** Where a function's path is among its arguments; a length follows. */
const paths: Readonly<Record<string, number>> = {
  path_create_directory: 1,
  path_filestat_get: 2,
  path_filestat_set_times: 2,
  path_link: 2,
  path_open: 2,
  path_readlink: 1,
  path_remove_directory: 1,
  path_rename: 1,
  path_symlink: 3,
  path_unlink_file: 1,
};

type HostFunction = (...args: never[]) => unknown;

/** The function, with what it denies told. */
export function watchP1(name: string, found: HostFunction, bytes: () => Uint8Array): HostFunction {
  return (...args) => {
    const result = found(...args);
    const reason = typeof result === "number" ? reasons[result] : undefined;
    if (reason !== undefined) denials.tell(name, subjectOf(name, args, bytes()), reason);
    return result;
  };
}

function subjectOf(name: string, args: readonly unknown[], memory: Uint8Array): string {
  const at = paths[name];
  if (at === undefined) return typeof args[0] === "number" ? `descriptor ${args[0]}` : "";
  const [pointer, length] = [Number(args[at]) >>> 0, Number(args[at + 1]) >>> 0];
  return JSON.stringify(
    Buffer.from(memory.subarray(pointer, pointer + Math.min(length, 1024))).toString("utf8"),
  );
}
