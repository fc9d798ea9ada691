import { backtrace } from "./debug/backtrace.ts";
import type { GuestSources } from "./debug/source-lookup.ts";

/** Whether the guest did it: a trap, a recursion too deep, an exception that nobody caught. Anything else went wrong in the host. */
export function isTrap(error: unknown): boolean {
  return !(error instanceof Error) || error instanceof WebAssembly.RuntimeError || isStackOverflow(error);
}

/** V8 reports a guest that recursed too deep as JavaScript's own RangeError. */
function isStackOverflow(error: Error): boolean {
  return error instanceof RangeError && error.message.includes("call stack");
}

/** What a trap looks like on the container's stderr: a line with its cause, and the guest's stack as far as its modules tell it. */
export function trapReport(error: unknown, sources: GuestSources): string {
  if (!(error instanceof Error)) return `trap: uncaught exception${describe(error)}\n`;
  const message = isStackOverflow(error) ? "call stack exhausted" : plain(error.message);
  return `trap: ${message}\n${backtrace(error.stack ?? "", sources)}`;
}

/** On one line, and as V8 says it: a component's glue puts wasmtime's words in their place. */
function plain(message: string): string {
  const [line = ""] = message.split("\n", 1);
  return line.replace(/^wasm trap: /, "").replace(/^wasm `unreachable` instruction executed$/, "unreachable");
}

/** The same, line by line, for what ended a guest that is not alone in its process: why, then the guest's stack. */
export function trapLines(error: unknown, sources: GuestSources): readonly string[] {
  return trapReport(error, sources)
    .replace(/^trap: /, "")
    .split("\n")
    .filter((line) => line !== "");
}

/** An exception of the guest (a WebAssembly.Exception) reached the top; where it was thrown, V8 does not say. */
function describe(error: unknown): string {
  return error instanceof Object ? "" : `: ${String(error)}`;
}
