import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedPath } from "../../examples/cache.ts";
import { inTemporaryDirectory, runTool } from "../../examples/tools.ts";
import { ownFile } from "./compile.ts";
import { programCache } from "./places.ts";

/** Path of the module that rustc makes of test/programs/rust/program.rs; undefined where there is no rustc with the target wasm32-wasip1. */
export async function makeRust(): Promise<string | undefined> {
  const version = rustVersion();
  if (version === undefined) return undefined;
  const source = ownFile("rust/program.rs");
  const make = () =>
    inTemporaryDirectory(async (directory) => {
      const output = join(directory, "program.wasm");
      const options = ["--target=wasm32-wasip1", "--edition=2024", "-O"];
      await runTool("rustc", [...options, source, "-o", output], directory);
      return await readFile(output);
    });
  return await cachedPath({ name: "rust.wasm", inputs: [version, readFileSync(source)], make }, programCache);
}

function rustVersion(): string | undefined {
  const ask = (option: string[]): string => execFileSync("rustc", option, { encoding: "utf8" }).trim();
  try {
    const target = join(ask(["--print", "sysroot"]), "lib/rustlib/wasm32-wasip1");
    return existsSync(target) ? ask(["--version"]) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
