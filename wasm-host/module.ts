import { TandemError } from "../src/errors.ts";
import { missingFeature } from "../src/missing-feature.ts";
import { detectWasm, hasMagic, wasmPreambleLength } from "./detect.ts";

/**
 * Compiles a core module.
 *
 * @param compile makes it, once the bytes begin like one
 * @throws TandemError invalid_argument with one line that names the cause: not wasm, truncated, a component, invalid, or a
 * feature that the engine lacks (unimplemented)
 */
export function compileModule(
  bytes: Uint8Array,
  compile = (valid: Uint8Array): WebAssembly.Module => new WebAssembly.Module(valid),
): WebAssembly.Module {
  if (!hasMagic(bytes))
    throw new TandemError("invalid_argument", `not a WebAssembly module: it begins with ${hex(bytes)}`);
  if (bytes.length < wasmPreambleLength) {
    throw new TandemError("invalid_argument", `module is truncated: ${bytes.length} bytes`);
  }
  if (detectWasm(bytes) === "component") {
    throw new TandemError("invalid_argument", "a component, where a core module is expected");
  }
  try {
    return compile(bytes);
  } catch (error) {
    throw compileFailure(error);
  }
}

function hex(bytes: Uint8Array): string {
  return bytes.length === 0 ? "nothing" : Buffer.from(bytes.subarray(0, 4)).toString("hex");
}

const tooLarge =
  /out of memory|exceeds.*(maximum|limit)|is larger than|> maximum|count too large|> max br_table size/i;
const lacking =
  /enable with|--experimental|invalid (\w+ )?opcode|unknown section code|invalid value type|not supported/i;

/** V8 says it all in one message; which of our three causes it means shows in its words. */
function compileFailure(error: unknown): TandemError {
  const text = error instanceof Error ? error.message : String(error);
  const detail = (text.split("\n", 1)[0] ?? "").replace("WebAssembly.Module(): ", "");
  if (tooLarge.test(detail)) {
    return new TandemError("resource_exhausted", `module is too large: ${detail}`, { cause: error });
  }
  if (
    /fell off end|past end|out of bounds|reached end|extends beyond|expected \d+ bytes?, fell/i.test(detail)
  ) {
    return new TandemError("invalid_argument", `module is truncated: ${detail}`, { cause: error });
  }
  const feature = missingFeature(detail);
  if (feature !== undefined || lacking.test(detail)) {
    const needed = feature === undefined ? detail : `${feature} (${detail})`;
    return new TandemError("unimplemented", `module needs an unsupported feature: ${needed}`, {
      cause: error,
    });
  }
  return new TandemError("invalid_argument", `module is invalid: ${detail}`, { cause: error });
}
