import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cached } from "./cache.ts";
import { inTemporaryDirectory, runTool } from "./tools.ts";

const require = createRequire(import.meta.url);
/** `dist/` of the installed jco. Its command is not among the package's exports, so it is found beside the one that is. */
const jcoDist = dirname(require.resolve("@bytecodealliance/jco"));

/**
 * Turns a WASI 0.1 command into a `wasi:cli/command` component with the adapter that jco brings.
 * The adapter folds every exit code but 0 into 1: `wasi:cli/exit` knows only success and failure.
 */
export async function componentFromModule(module: Uint8Array, cacheDir?: string): Promise<Uint8Array> {
  const adapter = await readFile(join(jcoDist, "..", "lib", "wasi_snapshot_preview1.command.wasm"));
  const make = async () => {
    const { componentNew } = await import("@bytecodealliance/jco"); // half a second, and a worker thread: only when needed
    return await componentNew(module, [["wasi_snapshot_preview1", adapter]]);
  };
  return await cached({ name: "component.wasm", inputs: ["component-new", module, adapter], make }, cacheDir);
}

/** TypeScript modules and the world that they implement. */
export interface ScriptComponent {
  /** The entry first, then what it imports; all in one directory. */
  readonly sources: readonly [URL, ...URL[]];
  /** A .wit file with one world. */
  readonly world: URL;
  readonly worldName: string;
}

/**
 * Turns a TypeScript module into a component with jco: types stripped, bundled, and started once inside StarlingMonkey, whose
 * memory is then the component. Takes about ten seconds.
 */
export async function componentFromScript(script: ScriptComponent, cacheDir?: string): Promise<Uint8Array> {
  const sources = await Promise.all(script.sources.map((source) => readFile(source)));
  const world = await readFile(script.world);
  const version = await readFile(join(jcoDist, "..", "package.json"));
  const inputs = ["componentize", version, script.worldName, world, ...sources, JSON.stringify(wanted)];
  return await cached({ name: "component.wasm", inputs, make: () => componentize(script) }, cacheDir);
}

async function componentize(script: ScriptComponent): Promise<Uint8Array> {
  return await inTemporaryDirectory(async (directory) => {
    const entry = join(directory, basename(script.sources[0].pathname));
    await Promise.all(script.sources.map((source) => cp(source, join(directory, basename(source.pathname)))));
    await writeWit(join(directory, "wit"), script.world);
    const preopen = fileURLToPath(new URL("preopen-root.ts", import.meta.url));
    const output = join(directory, "component.wasm");
    const jco = [
      join(jcoDist, "jco.js"),
      "componentize",
      entry,
      "--wit",
      "wit",
      "--world-name",
      script.worldName,
    ];
    // In a process of its own: it takes 400 MB and opens the whole file system to the tools inside.
    await runTool(process.execPath, ["--import", preopen, ...jco, "--out", output], directory);
    return await readFile(output);
  });
}

/** StarlingMonkey, as jco 1.35 brings it, speaks this version of the packages; a world that names another does not link. */
const engineVersion = "0.2.10";
/** What a world that exports `wasi:http/incoming-handler` has to know. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  "wasi-io": ["error", "poll", "streams"],
  "wasi-clocks": ["monotonic-clock"],
  "wasi-http": ["types", "incoming-handler"],
};
const shippedVersion = "0.2.12";

/** Lays out a wit directory: the world, and the WASI packages that jco ships, cut down to the interfaces it needs. */
async function writeWit(directory: string, world: URL): Promise<void> {
  await mkdir(directory, { recursive: true });
  await cp(world, join(directory, "world.wit"));
  const shipped = join(jcoDist, "..", "lib", "wit", "builtin", shippedVersion);
  for (const [name, interfaces] of Object.entries(wanted)) {
    const text = await readFile(join(shipped, name, "package.wit"), "utf8");
    const target = join(directory, "deps", name);
    await mkdir(target, { recursive: true });
    await writeFile(
      join(target, "package.wit"),
      cutDown(text, interfaces).replaceAll(`@${shippedVersion}`, `@${engineVersion}`),
    );
  }
}

function cutDown(text: string, interfaces: readonly string[]): string {
  const header = text.slice(0, text.indexOf(";") + 1);
  const blocks = interfaces.map((name) => {
    const start = text.indexOf(`\ninterface ${name} {`);
    if (start < 0) throw new Error(`${header} has no interface ${name}`);
    const end = text.indexOf("\n}", start);
    return text.slice(start, end + 2);
  });
  return [header, ...blocks, ""].join("\n");
}
