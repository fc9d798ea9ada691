import { TandemError } from "../src/errors.ts";
import {
  type CodeOptions,
  ComponentCode,
  type ComponentInstance,
  type Instantiated,
} from "./component-code.ts";
import { exitStatuses } from "./exit.ts";
import type { HttpLimits } from "./http/limits.ts";
import { RunningService } from "./http/run-service.ts";
import type { ListenAddress } from "./http/server/listeners.ts";
import type { ComponentCall } from "./invoke/component-call.ts";
import { tellMemory } from "./limits/tell-memory.ts";
import { reportTrap, writeResult } from "./report.ts";
import type { GluedFiles } from "./transpiled.ts";
import { finishChores } from "./wasi/p2/chores.ts";
import { ComponentExit } from "./wasi/p2/cli.ts";
import type { ComponentGrant } from "./wasi/p2/imports.ts";
import type { World } from "./world.ts";

export { readTranspiled, type TranspiledFiles } from "./transpiled.ts";

export interface LoadOptions<Files = GluedFiles> extends Pick<CodeOptions, "compile"> {
  readonly files: Files;
  readonly grant: ComponentGrant;
  /** Where an http component is served: port 8080 on every address unless given. */
  readonly http?: ListenAddress;
  readonly httpLimits?: Partial<HttpLimits>;
  /** Once an http component is served. */
  readonly onServing?: () => void;
}

export interface LoadedComponent {
  readonly world: World;
  /**
   * Runs the command, or a call of another export, or serves http until `close`. Resolves with the exit status; a trap is
   * one line on the granted stderr and `exitStatuses.trap`.
   */
  run(call?: ComponentCall): Promise<number>;
  /** For http: stops accepting and drains; `run` then resolves, with this status when not everything could be answered. */
  close(status: number): void;
}

/**
 * Loads a component: nothing of the guest has run when this returns.
 * @throws TandemError `invalid_argument` naming an import that nobody grants; WebAssembly.CompileError
 */
export function loadComponent(options: LoadOptions): LoadedComponent & { readonly code: ComponentCode } {
  const { grant, http, httpLimits, onServing } = options;
  const code = new ComponentCode(options);
  code.checkImports(grant);
  const service = new RunningService({
    code,
    grant,
    address: http ?? { port: 8080 },
    onServing,
    ...(httpLimits === undefined ? {} : { limits: httpLimits }),
  });
  return {
    world: code.entry.world,
    code,
    run: (entry) =>
      code.entry.world === "http" && entry === undefined ? service.run() : runExport(code, grant, entry),
    close: (status) => service.close(status),
  };
}

async function runExport(
  code: ComponentCode,
  grant: ComponentGrant,
  call: ComponentCall | undefined,
): Promise<number> {
  let instantiated: Instantiated | undefined;
  const failed = (status: number): number => {
    if (status !== 0) tellMemory(grant.limits ?? {}, instantiated?.exit.memories ?? [], grant.stdio.stderr);
    return status;
  };
  try {
    instantiated = code.instantiate(grant);
    const { instance } = instantiated;
    if (call === undefined) await unlessStuck(findEntry(instance, defaultEntry(code)));
    else writeResult(grant.stdio.stdout, await unlessStuck(() => call(instance)));
    return 0;
  } catch (error) {
    await instantiated?.outflow.settled();
    if (error instanceof ComponentExit) return failed(instantiated?.exit.statusOf(error) ?? error.status);
    return failed(statusOf(error, grant, code));
  } finally {
    await instantiated?.outflow.settled();
    finishChores();
  }
}

/** A guest that waits, with nothing left on the event loop that could wake it, will never be woken. */
async function unlessStuck<T>(entry: () => T | Promise<T>): Promise<T> {
  const { promise: stuck, reject } = Promise.withResolvers<never>();
  const onEmptyLoop = (): void =>
    reject(new Error("the component waits for something that can never happen"));
  process.once("beforeExit", onEmptyLoop);
  try {
    return await Promise.race([entry(), stuck]);
  } finally {
    process.off("beforeExit", onEmptyLoop);
  }
}

function defaultEntry({ entry }: ComponentCode): string {
  return entry.world === "command" ? `${entry.name}#run` : "run#run";
}

function statusOf(error: unknown, grant: ComponentGrant, code: ComponentCode): number {
  if (error instanceof TandemError) throw error;
  if (!(error instanceof Error)) return 1; // the `err` of wasi:cli/run
  reportTrap(grant.stdio.stderr, error, { modules: code.modules });
  return exitStatuses.trap;
}

/** The named function: `name`, or `interface#name`. */
function findEntry(instance: ComponentInstance, entry: string): () => unknown {
  const [scope, name] = entry.includes("#") ? entry.split("#") : [undefined, entry];
  const holder = scope === undefined ? instance : instance[scope];
  const found: unknown =
    typeof holder === "object" && holder !== null ? Reflect.get(holder, name ?? "") : undefined;
  if (typeof found !== "function") throw new TandemError("not_found", `component has no export ${entry}`);
  return () => found.call(holder) as unknown;
}
