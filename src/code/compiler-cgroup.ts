import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { TandemError } from "../errors.ts";
import { type Cgroup, joinFiles, openCgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import { SIGKILL } from "../signals.ts";

export interface CompilerCgroup {
  /** Into which a process writes "0" to be in it. */
  readonly files: readonly string[];
  /** With whatever is still in it. */
  remove(): Promise<void>;
}

/** TurboFan took at most 0.4 GB for what it may be given (policy.ts); the files that it reads and writes count as well. */
const MEMORY_BYTES = 2 * 1024 ** 3;

/** A tenth of what a container has that asks for nothing: where all processors are busy, less would take for ever. */
const CPU_SHARES = 102;

/** Older than any compiler may become: whoever had such a cgroup was killed. */
const STALE_MS = 60 * 60 * 1000;

/**
 * A cgroup for one compiler, beside those of containers. Of its own, and under a name that nobody else has: another state directory's
 * compilers, whose turns are not taken with these, may run on the same machine and in another pid namespace. undefined, and a line in the log, when none can be
 * made: then its limits are those of its own process.
 */
export function openCompilerCgroup(log: Log): CompilerCgroup | undefined {
  let cgroup: Cgroup;
  try {
    cgroup = openCgroup({
      cgroupsPath: `/tandem-compiler/${native.getpid()}-${randomBytes(4).toString("hex")}`,
      namespace: "",
      id: "",
      resources: { memory: { limit: MEMORY_BYTES }, cpu: { shares: CPU_SHARES }, pids: { limit: 16 } },
    });
  } catch (error) {
    log.debug({ err: TandemError.from(error) }, "the compiler has no cgroup of its own");
    return undefined;
  }
  removeStale(cgroup.dirs);
  return {
    files: joinFiles(cgroup.entrance()),
    remove: async () => {
      cgroup.kill(SIGKILL);
      await cgroup.remove();
    },
  };
}

/** Only what is empty can be removed from a cgroup file system. */
function removeStale(own: readonly string[]): void {
  const siblings = [...new Set(own.map((directory) => dirname(directory)))].flatMap((parent) =>
    readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(parent, name)),
  );
  const isStale = (directory: string): boolean => {
    const status = statSync(directory, { throwIfNoEntry: false });
    return status !== undefined && Date.now() - status.mtimeMs > STALE_MS;
  };
  native.removeCgroups(siblings.filter((directory) => !own.includes(directory) && isStale(directory)));
}
