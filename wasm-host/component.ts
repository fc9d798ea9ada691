import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Script } from "node:vm";
import { TandemError } from "../src/errors.ts";
import type { ComponentManifest } from "../src/image/compile-cache.ts";
import { ComponentExit } from "./wasi/p2/cli.ts";
import { type ComponentGrant, type ComponentHost, createImports } from "./wasi/p2/imports.ts";
import { createBlockingWaiter, createSuspendingWaiter, type Waiter } from "./wasi/p2/waiting.ts";

/** A transpiled component, in memory: a process that has lost its file system can load it. */
export interface TranspiledFiles {
  readonly manifest: ComponentManifest;
  readonly glue: string;
  readonly codeCache: Buffer;
  readonly modules: ReadonlyMap<string, Uint8Array>;
}

/** Exports by interface (`wasi:cli/run@0.2.3`) or by name. */
export type ComponentInstance = Readonly<Record<string, unknown>>;

type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Record<string, unknown>,
  instantiateCore: (module: WebAssembly.Module, imports?: WebAssembly.Imports) => WebAssembly.Instance,
) => ComponentInstance;

export type World = "command" | "http" | "reactor";

/** What a shell reports for SIGABRT: a component that trapped. */
export const trapStatus = 134;

/**
 * Reads an entry of the component cache.
 * @throws TandemError when a file cannot be read
 */
export function readTranspiled(dir: string): TranspiledFiles {
  try {
    const manifest = JSON.parse(readFileSync(join(dir, "manifest.json"), "utf8")) as ComponentManifest;
    const names = Object.keys(manifest.files).filter((name) => name.endsWith(".wasm"));
    return {
      manifest,
      glue: readFileSync(join(dir, "glue.js"), "latin1"),
      codeCache: readFileSync(join(dir, "glue.cache")),
      modules: new Map(names.map((name) => [name, readFileSync(join(dir, name))])),
    };
  } catch (error) {
    throw TandemError.from(error, `component ${dir}`);
  }
}

export interface LoadOptions {
  readonly files: TranspiledFiles;
  readonly host: ComponentHost;
  /** Compiles a core module; for a cache of native code. */
  readonly compile?: (bytes: Uint8Array, name: string) => WebAssembly.Module;
}

/** A component whose glue is evaluated and whose core modules are compiled: ready to be instantiated any number of times. */
export class Component {
  readonly world: World;
  readonly manifest: ComponentManifest;
  /** Whether the code cache of the glue was taken. */
  readonly glueWasCached: boolean;
  readonly #instantiate: Instantiate;
  readonly #modules: ReadonlyMap<string, WebAssembly.Module>;
  readonly #host: ComponentHost & { readonly waiter: Waiter };

  constructor({ files, host, compile }: LoadOptions) {
    this.manifest = files.manifest;
    this.world = worldOf(files.manifest.exports);
    const script = new Script(files.glue, { filename: "glue.js", cachedData: files.codeCache });
    this.glueWasCached = script.cachedDataRejected === false;
    this.#instantiate = script.runInThisContext() as Instantiate;
    const compileModule = compile ?? ((bytes: Uint8Array) => new WebAssembly.Module(bytes));
    this.#modules = new Map([...files.modules].map(([name, bytes]) => [name, compileModule(bytes, name)]));
    const waiter = files.manifest.suspends
      ? createSuspendingWaiter(host.readiness)
      : createBlockingWaiter(host.readiness);
    this.#host = { ...host, waiter };
  }

  get waiter(): Waiter {
    return this.#host.waiter;
  }

  /**
   * A fresh instance with exactly this grant.
   * @throws TandemError `invalid_argument` naming an import that nobody implements; whatever the start functions trap with
   */
  instantiate(grant: ComponentGrant, extraImports: Record<string, unknown> = {}): ComponentRun {
    const imports = { ...createImports(grant, this.#host), ...extraImports };
    requireImports(this.manifest.imports, imports);
    const exit = new ExitIntercept();
    const instance = this.#instantiate((name) => this.#module(name), imports, exit.instantiateCore);
    return { instance, exit };
  }

  #module(name: string): WebAssembly.Module {
    const module = this.#modules.get(name);
    if (module === undefined) throw new TandemError("internal", `component has no core module ${name}`);
    return module;
  }
}

export interface ComponentRun {
  readonly instance: ComponentInstance;
  readonly exit: ExitIntercept;
}

/**
 * Exit statuses of programs for WASI 0.1 in a component: the adapter knows only success and failure (wasi:cli/exit#exit), so
 * that `exit(3)` would come out as 1. The core module's own call of proc_exit still has the number.
 */
class ExitIntercept {
  #status: number | undefined;

  readonly instantiateCore = (
    module: WebAssembly.Module,
    imports?: WebAssembly.Imports,
  ): WebAssembly.Instance => {
    const preview1 = imports?.["wasi_snapshot_preview1"];
    const procExit = preview1?.["proc_exit"] as unknown;
    if (imports === undefined || typeof procExit !== "function")
      return new WebAssembly.Instance(module, imports);
    const noting = (status: number): unknown => {
      this.#status = status;
      return procExit(status) as unknown;
    };
    return new WebAssembly.Instance(module, {
      ...imports,
      wasi_snapshot_preview1: { ...preview1, proc_exit: noting },
    });
  };

  /** The status that this exit was meant to have. */
  statusOf(exit: ComponentExit): number {
    return this.#status !== undefined && (exit.status === 0) === (this.#status === 0)
      ? this.#status & 0xff
      : exit.status;
  }
}

function worldOf(exports: readonly string[]): World {
  if (exports.some((name) => /^wasi:cli\/run@0\.2\./.test(name))) return "command";
  if (exports.some((name) => /^wasi:http\/incoming-handler@0\.2\./.test(name))) return "http";
  return "reactor";
}

function requireImports(names: readonly string[], provided: Record<string, unknown>): void {
  for (const name of names) {
    const [unversioned = name, version] = name.split("@");
    const known =
      unversioned in provided &&
      (version === undefined || !unversioned.startsWith("wasi:") || version.startsWith("0.2."));
    if (!known) throw new TandemError("invalid_argument", `component imports ${name}, which nobody grants`);
  }
}

export interface RunOptions extends LoadOptions {
  readonly grant: ComponentGrant;
}

export interface LoadedComponent {
  readonly world: World;
  readonly component: Component;
  /** Instantiates and runs it; the exit status. A trap is one line on the granted stderr and `trapStatus`. */
  run(entry?: string): Promise<number>;
}

/**
 * Loads a component for one run.
 * @throws TandemError as `Component`'s constructor and `instantiate` do
 */
export function loadComponent(options: RunOptions): LoadedComponent {
  const component = new Component(options);
  requireImports(
    component.manifest.imports,
    createImports(options.grant, { ...options.host, waiter: component.waiter }),
  );
  return { world: component.world, component, run: (entry) => runComponent(component, options.grant, entry) };
}

async function runComponent(component: Component, grant: ComponentGrant, entry?: string): Promise<number> {
  const exit: { run?: ComponentRun } = {};
  try {
    exit.run = component.instantiate(grant);
    await findEntry(exit.run.instance, entry)();
    return 0;
  } catch (error) {
    if (error instanceof ComponentExit) return exit.run?.exit.statusOf(error) ?? error.status;
    if (!(error instanceof Error)) return 1; // the `err` of wasi:cli/run
    if (error instanceof TandemError) throw error;
    reportTrap(error, grant.stdio.stderr);
    return trapStatus;
  }
}

/** `run` of wasi:cli/run, or the named function: `name`, or `interface#name`. */
function findEntry(instance: ComponentInstance, entry: string | undefined): () => unknown {
  const [scope, name] =
    entry === undefined ? ["run", "run"] : entry.includes("#") ? entry.split("#") : [undefined, entry];
  const holder = scope === undefined ? instance : instance[scope];
  const found = typeof holder === "object" && holder !== null ? Reflect.get(holder, name ?? "") : undefined;
  if (typeof found !== "function")
    throw new TandemError("not_found", `component has no export ${entry ?? "wasi:cli/run"}`);
  return () => found();
}

/** One line, so that `kubectl logs` shows why the container ended. */
export function reportTrap(error: Error, stderr: number | undefined): void {
  if (stderr !== undefined)
    writeSync(stderr, `tandem: component trapped: ${error.message.split("\n", 1)[0]}\n`);
}
