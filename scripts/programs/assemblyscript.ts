import { cpSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedPath } from "../../examples/cache.ts";
import { inTemporaryDirectory, runTool } from "../../examples/tools.ts";
import { ownFile } from "./compile.ts";
import { npmPackage } from "./npm-package.ts";
import { npmCache, programCache } from "./places.ts";

const versions = { assemblyscript: "0.28.20", "@assemblyscript/wasi-shim": "0.1.0" };

/** Path of the module that asc makes of test/programs/assemblyscript/words.as. */
export async function makeAssemblyscript(): Promise<string> {
  const source = ownFile("assemblyscript/words.as");
  const make = () =>
    inTemporaryDirectory(async (directory) => {
      for (const [name, version] of Object.entries(versions)) npmPackage(name, version);
      const output = join(directory, "words.wasm");
      // The shim's configuration has paths that are taken from where the compiler is called; elsewhere the file has another name, because
      // it is not TypeScript.
      cpSync(source, join(npmCache, "words.ts"));
      const config = "node_modules/@assemblyscript/wasi-shim/asconfig.json";
      const args = ["words.ts", "--config", config, "--optimize", "--debug", "--outFile", output];
      await runTool(process.execPath, ["node_modules/assemblyscript/bin/asc.js", ...args], npmCache);
      return await readFile(output);
    });
  const inputs = [JSON.stringify(versions), readFileSync(source)];
  return await cachedPath({ name: "assemblyscript.wasm", inputs, make }, programCache);
}
