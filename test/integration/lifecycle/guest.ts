import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const builder = fileURLToPath(new URL("../../wasm-host/guests/build.ts", import.meta.url));

/** A component that a few lines make: a server for wasi:http/proxy, or one with an import that nobody has. */
export function buildGuest(kind: "http" | "foreign", directory: string): Uint8Array {
  const output = join(directory, `${kind}.wasm`);
  execFileSync(process.execPath, ["--no-warnings", builder, kind, output]);
  return readFileSync(output);
}
