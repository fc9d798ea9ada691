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

/**
 * WebAssembly that is compiled meanwhile is optimised at once, in whole and on this thread. `--no-liftoff` alone would leave V8
 * looking for what a baseline compiler has noted: given to Node at its start it turns these others off by itself.
 */
const optimising = ["liftoff", "wasm-deopt", "wasm-dynamic-tiering", "wasm-lazy-compilation"];

/** Does `action` with V8 set to optimise. Its flags are the same as before afterwards: they are part of what code is good for. */
export function whileOptimising<T>(action: () => T): T {
  for (const flag of optimising) setFlagsFromString(`--no-${flag}`);
  try {
    return action();
  } finally {
    for (const flag of optimising) setFlagsFromString(`--${flag}`);
  }
}
