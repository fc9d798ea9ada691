/**
 * Turns a component into JavaScript glue, or a link plan, and core modules: a process of its own, because jco's transpiler takes 150 MB and a
 * second, and because it reads what a stranger wrote.
 *
 *   node transpile-worker <component> <sha256 or ""> <empty output directory> [walled] [glue]
 *
 * "walled": what is the component's (its types go through the transpiler, its core modules through V8's compiler) is touched only
 * behind the wall of a wasm process. "glue": no link plan.
 *
 * Exit status 0 and the files with manifest.json, or 1 and one line on stderr.
 */
import "./no-helpers.ts";
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";
import { $init, type GenerateOptions, generate } from "@bytecodealliance/jco-transpile/component";
import { TandemError } from "../errors.ts";
import { missingFeature } from "../missing-feature.ts";
import { readComponentFunctions } from "../wasm-binary/component/read-functions.ts";
import type { ComponentFunctions } from "../wasm-binary/component/value-types.ts";
import { type ComponentManifest, type FileRecord, planFile } from "./compile-cache.ts";
import { readComponentInterfaces } from "./component-interfaces.ts";
import { patchGlue } from "./glue-patches.ts";
import { makePlan } from "./link/make-plan.ts";
import { Unlinkable } from "./link/unlinkable.ts";
import { stripCalls } from "./strip-calls.ts";
import { StubbedComponent } from "./stub-modules.ts";
import { suspendingImports } from "./suspending-imports.ts";
import { runWalled } from "./walled-child.ts";
import { isWasi03, wasi03Key } from "./wasi-version.ts";

async function main([path, digest, directory, ...options]: readonly string[]): Promise<void> {
  if (path === undefined || digest === undefined || directory === undefined) {
    throw new TandemError(
      "invalid_argument",
      "transpile-worker <component> <sha256> <directory> [walled] [glue]",
    );
  }
  const bytes = readFileSync(path);
  if (digest !== "" && sha256(bytes) !== digest)
    throw new TandemError("invalid_argument", `component ${path}: its sha256 is not ${digest}`);
  const { imports, exports } = readComponentInterfaces(bytes);
  const suspends =
    [...imports, ...exports].some(isWasi03) ||
    imports.some((name) => /^wasi:http\//.test(name)) ||
    exports.some((name) => name.startsWith("wasi:http/"));
  await $init;
  const functions = readFunctions(bytes);
  const about = { imports, exports, suspends, ...(functions === undefined ? {} : { functions }) };
  const link = !options.includes("glue") && mayBeLinked(about);
  const write = (output: string): void => new EntryWriter(output, about).write(bytes, link);
  if (!options.includes("walled")) return write(directory);
  process.exitCode = runWalled({ directory }, write);
}

type About = Omit<ComponentManifest, "files">;

/** Only an http component of 0.2 so far, which is instantiated for each request: glue costs more there than the guest. */
function mayBeLinked({ imports, exports }: About): boolean {
  return (
    exports.some((name) => name.startsWith("wasi:http/incoming-handler@0.2.")) &&
    ![...imports, ...exports].some(isWasi03)
  );
}

/** Writes an entry's files, manifest.json last. Waits for nothing: a forked child has no threads to wait for. */
class EntryWriter {
  readonly #directory: string;
  readonly #files: Record<string, FileRecord> = {};
  #about: About;

  constructor(directory: string, about: About) {
    this.#directory = directory;
    this.#about = about;
  }

  write(bytes: Uint8Array, link: boolean): void {
    if (!link || !this.#link(bytes)) this.#transpile(bytes);
    const manifest: ComponentManifest = { ...this.#about, files: this.#files };
    writeDurably(join(this.#directory, "manifest.json"), Buffer.from(JSON.stringify(manifest)));
  }

  /** Whether it can be linked. */
  #link(bytes: Uint8Array): boolean {
    try {
      const { plan, files } = makePlan(bytes);
      for (const [name, content] of files) this.#keepModule(name, content);
      this.#keep(planFile, Buffer.from(JSON.stringify(plan)));
      return true;
    } catch (error) {
      if (!(error instanceof Unlinkable)) throw error;
      this.#about = { ...this.#about, unlinkable: error.message };
      return false;
    }
  }

  #transpile(bytes: Uint8Array): void {
    const generated = generateAll(bytes, generateOptions(this.#about));
    for (const [name, content] of generated) {
      if (!name.endsWith(".js")) {
        this.#keepModule(name, content);
        continue;
      }
      const glue = toScript(Buffer.from(content).toString("utf8"), this.#about);
      this.#keep("glue.js", Buffer.from(glue));
      this.#keep("glue.cache", compileWhole(glue));
    }
  }

  #keepModule(name: string, content: Uint8Array): void {
    requireValid(name, content);
    this.#keep(name, content);
  }

  #keep(name: string, content: Uint8Array): void {
    writeDurably(join(this.#directory, name), content);
    this.#files[name] = { size: content.length, sha256: sha256(content) };
  }
}

/** Half of what a manifest may be long. */
const MOST_FUNCTION_BYTES = 1 << 19;

/** undefined where they cannot be read, or are too many: then none can be called by its name. */
function readFunctions(bytes: Uint8Array): ComponentFunctions | undefined {
  try {
    const functions = readComponentFunctions(bytes);
    return JSON.stringify(functions).length > MOST_FUNCTION_BYTES ? undefined : functions;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/**
 * jco's files. What it refuses, it gets once more without what is inside the core modules: it may have refused a feature of theirs
 * that V8 has, and V8 is asked anyway (requireValid).
 *
 * @throws TandemError invalid_argument with jco's reason for the component as it is
 */
function generateAll(bytes: Uint8Array, options: GenerateOptions): [name: string, content: Uint8Array][] {
  try {
    return generate(bytes, options).files;
  } catch (error) {
    return generateStubbed(bytes, options) ?? refuse(error);
  }
}

function generateStubbed(bytes: Uint8Array, options: GenerateOptions): [string, Uint8Array][] | undefined {
  try {
    const stubbed = new StubbedComponent(bytes);
    return generate(stubbed.bytes, options).files.map(([name, content]) => [
      name,
      name.endsWith(".wasm") ? stubbed.original(content) : content,
    ]);
  } catch {
    // The first refusal says what is wrong.
    return undefined;
  }
}

/** jco's reasons come as a chain, a line each. */
function refuse(error: unknown): never {
  const message = error instanceof Error ? error.message : JSON.stringify(error);
  const reasons = message.split("\n").map((line) => line.replace(/^\s*\d*:?\s*/, "").trim());
  const chain = reasons.filter((line) => line !== "" && !/^Caused by:?$/i.test(line));
  throw new TandemError("invalid_argument", chain.join(": "));
}

/**
 * Every function that may wait is suspending in glue for JSPI. A plain command has none: its calls block in the kernel, and
 * each import and export is a plain WebAssembly call. Of WASI 0.3 the types themselves say what is async.
 */
function generateOptions({ imports, suspends, functions }: About): GenerateOptions {
  return {
    name: "component",
    // jco leaves the version out of a name; but a component may import an interface in 0.2 and in 0.3.
    map: imports.filter(isWasi03).map((name) => [name, wasi03Key(name)]),
    instantiation: { tag: "sync" },
    noTypescript: true,
    noComponentErrorWrapping: true,
    base64Cutoff: 0,
    asyncMode: suspends
      ? { tag: "jspi", val: { imports: [...suspendingImports], exports: suspendingExports(functions) } }
      : { tag: "sync" },
  };
}

/** The transpiler looks at types only; what is wrong inside a function is found here and not at the first Create. */
function requireValid(name: string, content: Uint8Array): void {
  try {
    void new WebAssembly.Module(content);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const feature = missingFeature(reason);
    const what = feature === undefined ? "is not valid" : `needs an unsupported feature: ${feature}`;
    throw new TandemError("invalid_argument", `component ${what}: ${name}: ${reason}`);
  }
}

/** Whatever may be called first may have to wait. jco's names have no versions. */
function suspendingExports(functions: ComponentFunctions | undefined): string[] {
  const named = Object.keys(functions?.functions ?? {}).filter((name) => !name.includes("["));
  const all = named.map((name) => name.replace(/@[^#]*(?=#)/, ""));
  return [...new Set(["wasi:cli/run#run", "wasi:http/incoming-handler#handle", ...all])];
}

/**
 * The glue is a module without imports; as a script whose value is `instantiate` it can be evaluated from memory, at once and
 * with V8's code cache, in a process that has no file system.
 */
function toScript(module: string, { imports, exports }: Omit<ComponentManifest, "files">): string {
  const stripped = module
    .replace(/^[ \t]*export (function instantiate|const _util)\b/gm, "$1")
    // asked on each call of each function, and each time the environment is searched for it
    .replaceAll("globalThis?.process?.env?.JCO_DEBUG", "false")
    // a fifth of the text; each page of it is a page fault of the process that reads it
    .replace(/^[ \t]+/gm, "");
  const quiet = stripCalls(stripped, "_debugLog");
  const body = [...imports, ...exports].some(isWasi03) ? patchGlue(quiet) : quiet;
  if (/^(export|import)\b/m.test(body))
    throw new TandemError("internal", "jco's glue has an import or export that is not expected");
  // What the glue has to say about an error is in the error that it throws; the container's stderr belongs to the guest.
  return `(() => { const console = { error() {}, debug() {} };${body}\nreturn instantiate;\n})()`;
}

/**
 * The code cache of every function, not only of the outermost: running the glue to see what it uses would run the guest. V8
 * compares its flags when it takes a cache, so they must be back as they were when the cache is made.
 */
function compileWhole(glue: string): Uint8Array {
  setFlagsFromString("--no-lazy");
  const script = new Script(glue, { filename: "glue.js" });
  setFlagsFromString("--lazy");
  return script.createCachedData();
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A machine that loses power after the directory was renamed must not keep a file that is empty. */
function writeDurably(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, "wx", 0o644);
  try {
    for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const line = error instanceof Error ? error.message : JSON.stringify(error);
  process.stderr.write(`${line.split("\n", 1)[0]}\n`, () => process.exit(1));
});
