/**
 * componentize-program.ts SOURCE WIT WORLD OUTPUT: a component of a JavaScript program. A process of its own, because the tools import a
 * shim that starts a worker, and go by the packages in which they are.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { npmCache } from "./places.ts";

interface Componentizer {
  componentize(options: {
    readonly sourcePath: string;
    readonly witPath: string;
    readonly worldName: string;
  }): Promise<{ readonly component: Uint8Array }>;
}

const [sourcePath = "", witPath = "", worldName = "", output = ""] = process.argv.slice(2);
const module = join(npmCache, "node_modules/@bytecodealliance/componentize-js/src/componentize.js");
const { componentize } = (await import(pathToFileURL(module).href)) as Componentizer;
const { component } = await componentize({ sourcePath, witPath, worldName });
writeFileSync(output, component);
process.exit();
