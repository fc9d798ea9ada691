import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedPath } from "../../examples/cache.ts";
import { inTemporaryDirectory, runTool } from "../../examples/tools.ts";
import { ownFile } from "./compile.ts";
import { npmPackage } from "./npm-package.ts";
import { programCache } from "./places.ts";

/** The version of WASI that componentize-js' engine was built for; its interfaces are those of any 0.2. */
const [ofEngine, ofTree] = ["0.2.10", "0.2.12"];
const wit = fileURLToPath(
  new URL(`../../node_modules/@bytecodealliance/jco/lib/wit/builtin/${ofTree}`, import.meta.url),
);
const versions = {
  "@bytecodealliance/componentize-js": "0.23.0",
  "@bytecodealliance/preview2-shim": "0.17.9",
};

/** Path of the component that componentize-js makes of test/programs/javascript/<world>.js. Takes half a minute the first time. */
export async function makeJavascript(world: "command" | "service" | "library"): Promise<string> {
  const source = ownFile(`javascript/${world}.js`);
  const worlds = ownFile("javascript/world.wit");
  const program = fileURLToPath(new URL("componentize-program.ts", import.meta.url));
  const make = () =>
    inTemporaryDirectory(async (directory) => {
      for (const [name, version] of Object.entries(versions)) npmPackage(name, version);
      writeWit(join(directory, "wit"), worlds);
      const output = join(directory, `${world}.wasm`);
      // What it is called in stack traces.
      const script = join(directory, `${world}.js`);
      cpSync(source, script);
      const args = [program, script, join(directory, "wit"), world, output];
      await runTool(process.execPath, ["--no-warnings", ...args], directory);
      return await readFile(output);
    });
  const inputs = [JSON.stringify(versions), ofEngine, readFileSync(source), readFileSync(worlds)];
  return await cachedPath({ name: `javascript-${world}.wasm`, inputs, make }, programCache);
}

function writeWit(directory: string, worlds: string): void {
  mkdirSync(directory);
  cpSync(worlds, join(directory, "world.wit"));
  cpSync(wit, join(directory, "deps"), { recursive: true });
  for (const file of globSync(join(directory, "deps/**/*.wit")))
    writeFileSync(file, readFileSync(file, "utf8").replaceAll(ofTree, ofEngine));
}
