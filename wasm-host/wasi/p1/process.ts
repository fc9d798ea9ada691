import { constants } from "node:os";
import { native } from "../../../src/native.ts";
import { statusFromExitCode, statusFromSignal } from "../../exit.ts";
import { errno } from "./errno.ts";
import type { State } from "./state.ts";

/** WASI's signals in the order of their numbers. */
const signals = [
  "NONE",
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGILL",
  "SIGTRAP",
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGKILL",
  "SIGUSR1",
  "SIGSEGV",
  "SIGUSR2",
  "SIGPIPE",
  "SIGALRM",
  "SIGTERM",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGURG",
  "SIGXCPU",
  "SIGXFSZ",
  "SIGVTALRM",
  "SIGPROF",
  "SIGWINCH",
  "SIGPOLL",
  "SIGPWR",
  "SIGSYS",
] as const;
const ignored = new Set<string>(["NONE", "SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH"]);
const stopping = new Set<string>(["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"]);

/** proc_*, sched_yield, the clocks and random numbers. */
export function processImports(state: State) {
  return {
    proc_exit: (code: number) => state.onExit(statusFromExitCode(code)),
    proc_raise: (signal: number) => raise(state, signal),
    sched_yield: () => native.wasiYield(),
    clock_res_get: (id: number, result: number) => native.wasiClockResolution(state.bytes(), id, result),
    clock_time_get: (id: number, _precision: bigint, result: number) =>
      native.wasiClock(state.bytes(), id, result),
    random_get: (buffer: number, length: number) => native.wasiRandom(state.bytes(), buffer, length),
  };
}

/**
 * The default action of a signal, without the signal: the guest may be pid 1, to which the kernel delivers none of its own. A
 * guest has no handlers, so nothing else can come of it.
 */
function raise(state: State, signal: number): number {
  const name = signals[signal];
  if (name === undefined) return errno.inval;
  if (ignored.has(name)) return errno.success;
  if (stopping.has(name)) return errno.notsup;
  return state.onExit(statusFromSignal(constants.signals[name as keyof typeof constants.signals]));
}
