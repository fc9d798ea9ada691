import { setFlagsFromString } from "node:v8";

/** The zygote's V8 is set up for shims, which are short of pages and not of time (zygoteFlags in scripts/build.ts). */
const forLongRuns = [
  "--sparkplug",
  "--maglev",
  "--opt",
  "--invocation-count-for-feedback-allocation=8",
  "--no-compact-on-every-full-gc",
];

/** Before the guest runs: its host's JavaScript may run hot. */
export function setEngineForGuest(): void {
  for (const flag of forLongRuns) setFlagsFromString(flag);
}
