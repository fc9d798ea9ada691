import type { TandemError } from "../src/errors.ts";
import type { LimitName } from "./limits/limit-names.ts";
import { LimitReached } from "./limits/limit-reached.ts";

/**
 * The exit statuses of a wasm container, the one table for modules and components. Whatever the guest passes to proc_exit is
 * its status modulo 256, as the kernel does it; these are the ones it does not choose itself. They follow the shells' and
 * Docker's conventions, so that an operator's habits hold.
 */
export const exitStatuses = {
  /** Wrote more to stdout and stderr than its grant has. */
  outputLimit: 118,
  /** Used more processor time. */
  processorLimit: 119,
  /** Begins with more memory. */
  memoryLimit: 120,
  /** Begins with more elements of tables. */
  tableLimit: 121,
  /** Made more instances of modules, threads among them. */
  instanceLimit: 122,
  /** Opened more descriptors. */
  fileLimit: 123,
  /** Ran for longer; timeout(1) has the same. */
  timeLimit: 124,
  /** The host failed: a bug of ours or an unexpected error of the kernel. */
  hostError: 125,
  /** What was found cannot be run: not wasm, truncated, an import that nobody grants, a feature that the engine lacks, no room for it. */
  cannotRun: 126,
  /** The module has neither `_start` nor the export that was asked for. */
  noEntry: 127,
  /** A trap (unreachable, out of bounds, stack exhausted …): 128 + SIGABRT, as abort(3) of a Linux process. */
  trap: 134,
  /** Ended by SIGKILL: 128 + 9. */
  killed: 137,
} as const;

/** The status of a guest that reached a limit of its grant. */
export const limitStatuses: Readonly<Record<LimitName, number>> = {
  memoryBytes: exitStatuses.memoryLimit,
  tableElements: exitStatuses.tableLimit,
  instances: exitStatuses.instanceLimit,
  cpuMs: exitStatuses.processorLimit,
  wallMs: exitStatuses.timeLimit,
  openFiles: exitStatuses.fileLimit,
  outputBytes: exitStatuses.outputLimit,
};

/** The status that a wait(2) would give for this argument of proc_exit. */
export function statusFromExitCode(code: number): number {
  return code & 0xff;
}

/** The status of a process that a signal of Linux ended. */
export function statusFromSignal(signal: number): number {
  return 128 + signal;
}

/** The status of a container that could not be run at all, by the error that says why. */
export function statusFromFailure(error: TandemError): number {
  if (error instanceof LimitReached) return limitStatuses[error.limit];
  switch (error.code) {
    case "not_found":
      return exitStatuses.noEntry;
    case "invalid_argument":
    case "unimplemented":
    case "resource_exhausted":
      return exitStatuses.cannotRun;
    default:
      return exitStatuses.hostError;
  }
}
