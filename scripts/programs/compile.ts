import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedPath } from "../../examples/cache.ts";
import { inTemporaryDirectory, runTool } from "../../examples/tools.ts";
import { programCache } from "./places.ts";

export interface Compilation {
  /** "lua.wasm" */
  readonly name: string;
  /** What the sources beyond this tree are: a package's version, the compiler's. Files of `own` count by their text. */
  readonly from: string;
  /** Files below test/programs: sources among the arguments, and headers that are only found by their directory. */
  readonly own?: readonly string[];
  readonly arguments: readonly string[];
  /** Before the compiler: what generates sources, in the directory of the package. */
  prepare?(): Promise<void>;
}

/** Debian's clang with its wasi-libc; wasi-libc's emulations are linked by those programs that ask for them. */
const clang = ["--target=wasm32-wasi", "--sysroot=/usr", "-w"];

/** A file below test/programs. */
export function ownFile(path: string): string {
  return fileURLToPath(new URL(`../../test/programs/${path}`, import.meta.url));
}

/** Path of the module that clang-14 makes; kept until anything that goes into it changes. */
export async function compile(compilation: Compilation): Promise<string> {
  const { name, from, own = [], prepare } = compilation;
  const args = [...clang, ...compilation.arguments];
  const make = () =>
    inTemporaryDirectory(async (directory) => {
      await prepare?.();
      const output = join(directory, name);
      await runTool("clang-14", [...args, "-o", output], directory);
      return await readFile(output);
    });
  const inputs = [from, ...args.map(withoutTree), ...own.map((path) => readFileSync(ownFile(path)))];
  return await cachedPath({ name, inputs, make }, programCache);
}

const tree = fileURLToPath(new URL("../..", import.meta.url));

/** So that a checkout elsewhere has the same keys. */
const withoutTree = (text: string): string => text.replaceAll(tree, "");
