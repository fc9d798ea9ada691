import { readFileSync } from "node:fs";
import { join } from "node:path";
import { processStat } from "../process-stat.ts";

/** Written by each zygote into its directory once it listens there. */
export const PID_FILE = "zygote.pid";

/**
 * Whether whoever has adopted the zygote lasts. What is orphaned goes to process 1, or to an ancestor that asked for it
 * (PR_SET_CHILD_SUBREAPER): a conmon, that executed the first command line, is such a one, and does not end before its children
 * do. A zygote below it is a lodger: it goes as soon as nobody needs it, and gives way to one that a later command line starts
 * outside (native/client/renew.c). Twin of native/launcher/household.c.
 */
export class Tenure {
  readonly #zygote: () => number;
  #settled = false;

  /** @param zygote its pid */
  constructor(zygote: () => number) {
    this.#zygote = zygote;
  }

  /** Once adopted by process 1, always. */
  isLodger(): boolean {
    this.#settled ||= hasLastingParent(this.#zygote());
    return !this.#settled;
  }

  /** Whether another zygote answers in its directory by now. */
  isReplaced(directory: string): boolean {
    const present = read(join(directory, PID_FILE));
    return present !== undefined && Number(present) !== this.#zygote();
  }
}

function hasLastingParent(pid: number): boolean {
  const parent = processStat(pid)?.parent;
  if (parent === undefined) return false;
  return parent <= 1 || read(`/proc/${parent}/comm`) === "systemd\n";
}

/** undefined: it is not there, or not any more. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}
