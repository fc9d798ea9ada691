import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { TandemError } from "../../src/errors.ts";
import type { ResolverFiles } from "../grant.ts";

/** Where the files of a grant's resolver are, on the host. */
export interface ResolverPaths {
  readonly resolvConf: string;
  readonly hosts: string;
}

/** Those of the machine. */
export const machineResolver: ResolverPaths = { resolvConf: "/etc/resolv.conf", hosts: "/etc/hosts" };

const mostBytes = 1024 * 1024;

/**
 * Reads them while the host can be seen. One that does not exist is as an empty one: then nobody is asked for names.
 * @throws TandemError: it is no regular file, it is larger than 1 MiB, it cannot be read
 */
export function readResolverFiles({ resolvConf, hosts }: ResolverPaths): ResolverFiles {
  return { resolvConf: readBounded(resolvConf), hosts: readBounded(hosts) };
}

function readBounded(path: string): string {
  let fd: number;
  try {
    // What a pod mounts there may be anything: a FIFO must not be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw TandemError.from(error, "network grant");
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new TandemError("invalid_argument", `network grant: ${path} is no file`);
    if (status.size > mostBytes)
      throw new TandemError(
        "resource_exhausted",
        `network grant: ${path} has ${status.size} bytes: too large`,
      );
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
