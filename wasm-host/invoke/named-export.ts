import { TandemError } from "../../src/errors.ts";
import { findExportedFunction } from "../../src/wasm-binary/module-types.ts";
import { printCoreResults, readCoreArguments } from "./core-values.ts";

/** Calls a core module's export as a command line asks for it, and returns the results as text: a line each. */
export type NamedCall = (exports: WebAssembly.Exports) => string;

/**
 * Reads the arguments by the export's type.
 * @throws TandemError not_found when no such function is exported; what `readCoreArguments` throws
 */
export function prepareCall(bytes: Uint8Array, name: string, words: readonly string[]): NamedCall {
  const type = findExportedFunction(bytes, name);
  if (type === undefined) {
    const advice = name.endsWith(")") ? ": arguments of a module's export are words of their own" : "";
    throw new TandemError("not_found", `module has no exported function ${name}${advice}`);
  }
  const args = readCoreArguments(name, type, words);
  return (exports) => printCoreResults(type, callExport(exports, name, args));
}

/** Calls an export that is known to be a function. */
export function callExport(exports: WebAssembly.Exports, name: string, args: readonly unknown[]): unknown {
  const entry = exports[name];
  if (typeof entry !== "function") throw new TandemError("internal", `export ${name} vanished`);
  return entry(...args);
}
