/** Whether the guest did it: a trap, a recursion too deep, an exception that nobody caught. Anything else went wrong in the host. */
export function isTrap(error: unknown): boolean {
  return !(error instanceof Error) || error instanceof WebAssembly.RuntimeError || isStackOverflow(error);
}

/** V8 reports a guest that recursed too deep as JavaScript's own RangeError. */
function isStackOverflow(error: Error): boolean {
  return error instanceof RangeError && error.message.includes("call stack");
}

/** What a trap looks like on the container's stderr: one line, and the guest's stack as far as its name section tells it. */
export function trapReport(error: unknown): string {
  if (!(error instanceof Error)) return `trap: uncaught exception${describe(error)}\n`;
  const message = isStackOverflow(error) ? "call stack exhausted" : error.message.split("\n", 1)[0];
  return `trap: ${message}\n${wasmFrames(error)}`;
}

/** An exception of the guest (a WebAssembly.Exception) reached the top. */
function describe(error: unknown): string {
  return error instanceof Object ? "" : `: ${String(error)}`;
}

/** "at name (wasm://wasm/<hash>:wasm-function[<index>]:<offset>)", without the URL. */
function wasmFrames(error: Error): string {
  const lines = (error.stack ?? "").split("\n").filter((line) => line.includes("wasm://"));
  return lines.map((line) => `${line.replace(/wasm:\/\/wasm\/[^:]*:/, "")}\n`).join("");
}
