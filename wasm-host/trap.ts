/**
 * What a trap looks like on the container's stderr: one line, and the guest's stack as far as its name section tells it.
 * undefined when the error is no trap but the host's own.
 */
export function trapReport(error: unknown): string | undefined {
  if (!(error instanceof Error)) return `trap: uncaught exception${describe(error)}\n`;
  // V8 reports a guest that recursed too deep as JavaScript's own RangeError.
  const exhausted = error instanceof RangeError && error.message.includes("call stack");
  if (!(error instanceof WebAssembly.RuntimeError) && !exhausted) return undefined;
  const message = exhausted ? "call stack exhausted" : error.message;
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
