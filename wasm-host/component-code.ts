import { Script } from "node:vm";
import { TandemError } from "../src/errors.ts";
import type { ComponentManifest } from "../src/image/compile-cache.ts";
import { isWasi03 } from "../src/image/wasi-version.ts";
import { watchImports } from "./debug/watch-imports.ts";
import { anew } from "./deterministic/anew.ts";
import { ExitIntercept } from "./exit-intercept.ts";
import { InstanceShare } from "./limits/instance-share.ts";
import { requireProvided } from "./provided.ts";
import type { GluedFiles } from "./transpiled.ts";
import type { FilesystemHost } from "./wasi/p2/descriptor.ts";
import { type ComponentGrant, createImports } from "./wasi/p2/imports.ts";
import { createNativeFiles } from "./wasi/p2/native-files.ts";
import { blocking, suspending } from "./wasi/p2/waiting.ts";
import { beginCall } from "./wasi/p3/host-call.ts";
import { createWasi03 } from "./wasi/p3/imports.ts";
import { Outflow } from "./wasi/p3/outflow.ts";
import { findWorld, type WorldEntry } from "./world.ts";

/** Exports by interface (`wasi:cli/run@0.2.3`, and `run` for short) or by name. */
export type ComponentInstance = Readonly<Record<string, unknown>>;

type Instantiate = (
  getCoreModule: (name: string) => WebAssembly.Module,
  imports: Record<string, unknown>,
  instantiateCore: (module: WebAssembly.Module, imports?: WebAssembly.Imports) => WebAssembly.Instance,
) => ComponentInstance;

/** An instance, and what its host must know of its end. */
export interface Instantiated {
  readonly instance: ComponentInstance;
  readonly exit: ExitIntercept;
  readonly outflow: Outflow;
  /** Rejects when the guest traps in what it does after an export of its has returned. */
  readonly trapped: Promise<never>;
}

export interface CodeOptions {
  readonly files: GluedFiles;
  /** Compiles a core module; for a cache of native code. */
  readonly compile?: (bytes: Uint8Array, name: string) => WebAssembly.Module;
}

/** Where glue for 0.3 finds the functions that its patches call (src/image/glue-patches.ts). */
const glueKeys = { lateTrap: "tandem:late-trap", call: "tandem:call" } as const;

const fileSystem = createNativeFiles();

/** A component with its glue evaluated and its core modules compiled: to be instantiated any number of times. */
export class ComponentCode {
  /** What it is made for, and the interface that it exports for it. */
  readonly entry: WorldEntry;
  readonly manifest: ComponentManifest;
  /** Whether V8 took the glue's code cache. */
  readonly glueWasCached: boolean;
  readonly #instantiate: Instantiate;
  readonly #modules: ReadonlyMap<string, WebAssembly.Module>;
  readonly #bytes: ReadonlyMap<WebAssembly.Module, Uint8Array>;
  readonly #host: FilesystemHost;

  /** @throws WebAssembly.CompileError for a core module that V8 refuses */
  constructor({ files, compile }: CodeOptions) {
    this.manifest = files.manifest;
    this.entry = findWorld(files.manifest.exports);
    const script = new Script(files.glue, { filename: "glue.js", cachedData: files.codeCache });
    this.glueWasCached = script.cachedDataRejected === false;
    this.#instantiate = script.runInThisContext() as Instantiate;
    const compileModule = compile ?? ((bytes: Uint8Array) => new WebAssembly.Module(bytes));
    this.#modules = new Map([...files.modules].map(([name, bytes]) => [name, compileModule(bytes, name)]));
    this.#bytes = new Map(
      [...this.#modules].map(([name, module]) => [module, files.modules.get(name) ?? new Uint8Array()]),
    );
    this.#host = {
      files: fileSystem,
      waiter: files.manifest.suspends ? suspending : blocking,
    };
  }

  /**
   * A fresh instance with exactly this grant.
   * @throws TandemError `invalid_argument` naming an import that nobody implements; whatever a start function traps with
   */
  instantiate(grant: ComponentGrant): Instantiated {
    const outflow = new Outflow();
    const { promise: trapped, reject } = Promise.withResolvers<never>();
    trapped.catch(() => {}); // for whoever is interested
    const imports = {
      ...this.#imports(grant, outflow),
      [glueKeys.lateTrap]: reject,
      [glueKeys.call]: beginCall,
    };
    const exit = new ExitIntercept(new InstanceShare(grant.limits ?? {}, this.#bytes));
    const instance = this.#instantiate((name) => this.#module(name), imports, exit.instantiateCore);
    return { instance, exit, outflow, trapped };
  }

  /** Its core modules. */
  get modules(): Iterable<WebAssembly.Module> {
    return this.#modules.values();
  }

  /** @throws TandemError `invalid_argument` naming an import that nobody implements */
  checkImports(grant: ComponentGrant): void {
    this.#imports(grant, new Outflow());
  }

  #imports(given: ComponentGrant, outflow: Outflow): Record<string, unknown> {
    const grant = anew(given);
    const provided = createImports(grant, this.#host);
    if (this.manifest.imports.some(isWasi03))
      Object.assign(provided, createWasi03(grant, { files: this.#host.files, outflow }));
    requireProvided(this.manifest.imports, provided);
    return watchImports(provided);
  }

  #module(name: string): WebAssembly.Module {
    const module = this.#modules.get(name);
    if (module === undefined) throw new TandemError("internal", `component has no core module ${name}`);
    return module;
  }
}
