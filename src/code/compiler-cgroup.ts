import { TandemError } from "../errors.ts";
import { type Cgroup, joinFiles, openCgroup } from "../isolation/cgroup.ts";
import type { Log } from "../log.ts";
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

/**
 * A cgroup for the one compiler that runs at a time, beside those of containers. undefined, and a line in the log, when none can be
 * made: then its limits are those of its own process.
 */
export function openCompilerCgroup(log: Log): CompilerCgroup | undefined {
  let cgroup: Cgroup;
  try {
    cgroup = openCgroup({
      cgroupsPath: "/tandem-compiler",
      namespace: "",
      id: "",
      resources: { memory: { limit: MEMORY_BYTES }, cpu: { shares: CPU_SHARES }, pids: { limit: 16 } },
    });
  } catch (error) {
    log.debug({ err: TandemError.from(error) }, "the compiler has no cgroup of its own");
    return undefined;
  }
  return {
    files: joinFiles(cgroup.entrance()),
    remove: async () => {
      cgroup.kill(SIGKILL);
      await cgroup.remove();
    },
  };
}
