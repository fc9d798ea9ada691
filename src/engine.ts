import { setFlagsFromString } from "node:v8";

/** The zygote's V8 is set up for shims, which are short of pages and not of time (zygoteFlags in scripts/build.ts). */
const forLongRuns = [
  "--sparkplug",
  "--maglev",
  "--opt",
  "--invocation-count-for-feedback-allocation=8",
  "--no-compact-on-every-full-gc",
];

/** For a child of the zygote whose JavaScript will run hot: a guest's host, a resolver. Costs some microseconds. */
export function setEngineForLongRuns(): void {
  for (const flag of forLongRuns) setFlagsFromString(flag);
}
