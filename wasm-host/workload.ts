import { closeSync, fstatSync } from "node:fs";
import { constants } from "node:os";
import type { GuestCode } from "../src/code/guest-code.ts";
import { TandemError } from "../src/errors.ts";
import { type ComponentManifest, planFile } from "../src/image/compile-cache.ts";
import { native } from "../src/native.ts";
import { loadComponent } from "./component.ts";
import type { CodeOptions } from "./component-code.ts";
import type { HttpPlan, LocatedFile, WasmConfig } from "./config.ts";
import { statusFromSignal } from "./exit.ts";
import type { Grant, Preopen } from "./grant.ts";
import { useKeptStacks } from "./guest-stack.ts";
import { defaultHttpLimits, type HttpLimits } from "./http/limits.ts";
import type { ListenAddress } from "./http/server/listeners.ts";
import { type ComponentCall, prepareComponentCall } from "./invoke/component-call.ts";
import { listFunctions } from "./invoke/find-function.ts";
import type { ProcessNeeds } from "./isolation.ts";
import { concurrentInstances } from "./limits/concurrent-instances.ts";
import { planEngineLimits, setEngineLimits } from "./limits/engine-limits.ts";
import { loadLinkedComponent } from "./linked-component.ts";
import { compileModule } from "./module.ts";
import { networkNeeds } from "./network/kernel-needs.ts";
import { readResolverFiles } from "./network/read-resolver-files.ts";
import { writeLine } from "./report.ts";
import { prepareModule } from "./run-module.ts";
import type { ThreadHost } from "./threads/thread-data.ts";
import { openTranspiled, readWhole, requireRecorded, type TranspiledFiles } from "./transpiled.ts";
import { findWorld } from "./world.ts";

/** Runs the guest to its end; resolves, or returns, its exit status. */
export type Run = () => number | Promise<number>;

/** What the process holds for its guest besides the workload. */
export interface Held {
  readonly stdio: Grant["stdio"];
  /** Listening sockets, in the order of the request. */
  readonly listeners: readonly number[];
  /** Optimised code of the guest's modules; undefined: they are compiled as they are called. */
  readonly code?: GuestCode | undefined;
  readonly threads: ThreadHost;
  /** Gives up every right but the grant's and these; returns the preopens, open. */
  enterIsolation(needs: ProcessNeeds): readonly Preopen[];
}

/**
 * Opens the workload while the host can be seen, has the process isolated, then reads and compiles it: its memory is charged to
 * the container, and what V8 may get wrong with a hostile module already happens behind the wall. Nothing of the guest has run
 * when this returns.
 *
 * @throws TandemError: no such file, no wasm, an import that nobody grants, no such export
 */
export function prepareWorkload(config: WasmConfig, held: Held): Run {
  const { workload } = config;
  const { code } = held;
  if (workload.form === "component") {
    const files = openTranspiled(workload.transpiled);
    const { world } = findWorld(files.manifest.exports);
    const serves = world === "http" && workload.export === undefined;
    for (const [name, { sha256 }] of Object.entries(files.manifest.files))
      if (name.endsWith(".wasm")) code?.find(sha256);
    // Behind the wall none can be made.
    const memfd =
      planFile in files.manifest.files ? native.memfd("tandem-memory", Buffer.alloc(0)) : undefined;
    const grant = toGrant(config, held, {
      keep: [...files.fds, ...(code?.fds ?? []), ...(memfd === undefined ? [] : [memfd])],
      served: serves ? config.http : undefined,
    });
    const http = toAddress(config.http, held.listeners);
    const compile = (bytes: Uint8Array, name: string): WebAssembly.Module =>
      compileWith(code, bytes, requireRecorded(files.manifest, name, bytes), { hashed: true });
    const loaded = files.read();
    const modules = instantiatedModules(loaded);
    const most = concurrentInstances(grant.limits ?? {}, modules.length);
    const httpLimits = serves ? withConcurrency(config.httpLimits, most) : config.httpLimits;
    const call = () => prepareCall(files.manifest, workload.export, grant.args.slice(1));
    const run = prepareComponent(loaded, {
      keptStacks: serves && config.stackBytes === undefined,
      ...{ grant, http, compile, memfd, call, onServing: () => announce(config.http, grant) },
      ...(httpLimits === undefined ? {} : { httpLimits }),
    });
    setEngineLimits(planEngineLimits(grant.limits ?? {}, modules, { imports: false }));
    return run;
  }
  const file = openModule(workload.file);
  const digest = code?.digestOf(file, workload.digest);
  if (digest !== undefined) code?.find(digest);
  const sourceMap = openSourceMap(workload.file);
  const keep = [file, ...(code?.fds ?? []), ...(sourceMap === undefined ? [] : [sourceMap])];
  const grant = toGrant(config, held, { keep });
  const bytes = readWhole(file);
  const module = compileModule(bytes, (valid) => compileWith(code, valid, digest));
  setEngineLimits(planEngineLimits(grant.limits ?? {}, [bytes], { imports: true }));
  const { threads } = held;
  return prepareModule({ module, bytes }, grant, { export: workload.export, threads, sourceMap });
}

/** undefined for what the component's world says: the command runs, the server serves. */
function prepareCall(
  { exports, functions }: ComponentManifest,
  entry: string | undefined,
  words: readonly string[],
): ComponentCall | undefined {
  if (entry !== undefined) return prepareComponentCall(functions, entry, words);
  if (findWorld(exports).world !== "reactor") return undefined;
  const names = listFunctions(functions);
  throw new TandemError(
    "not_found",
    `component is a reactor: name the export to call, as in app.wasm#name${names}`,
  );
}

/** The bytes of each core module that a component makes an instance of; of glue only that tells, when it runs. */
function instantiatedModules(files: TranspiledFiles): Uint8Array[] {
  if (!("plan" in files)) return [...files.modules.values()];
  const { instances, modules } = files.plan;
  return instances.flatMap(({ module }) => files.modules.get(modules[module]?.file ?? "") ?? []);
}

/** No more requests at once than there may be instances. */
function withConcurrency(
  limits: Partial<HttpLimits> | undefined,
  most: number | undefined,
): Partial<HttpLimits> | undefined {
  if (most === undefined) return limits;
  const { maxConcurrentRequests } = { ...defaultHttpLimits, ...limits };
  return { ...limits, maxConcurrentRequests: Math.min(maxConcurrentRequests, most) };
}

/** Both ask for an end; the second is Ctrl-C's. */
const drainSignals = ["SIGTERM", "SIGINT"] as const;

function compileWith(
  code: GuestCode | undefined,
  bytes: Uint8Array,
  digest: string | undefined,
  options?: { readonly hashed: boolean },
): WebAssembly.Module {
  return code === undefined || digest === undefined
    ? new WebAssembly.Module(bytes)
    : code.compile(bytes, digest, options);
}

interface ComponentParts {
  readonly grant: Grant;
  readonly compile: NonNullable<CodeOptions["compile"]>;
  readonly memfd: number | undefined;
  readonly http: ListenAddress;
  readonly httpLimits?: Partial<HttpLimits>;
  readonly onServing: () => void;
  /** Whether nobody has asked for a larger call stack of what is served than is quickly had. */
  readonly keptStacks: boolean;
  /** Asked once the imports are known to be granted: what is missing there is the better reason. */
  readonly call: () => ComponentCall | undefined;
}

function prepareComponent(files: TranspiledFiles, parts: ComponentParts): Run {
  const { call: toCall, keptStacks, ...rest } = parts;
  const component =
    "plan" in files ? loadLinkedComponent({ files, ...rest }) : loadComponent({ files, ...rest });
  const call = toCall();
  if (component.world !== "http") return () => component.run(call);
  return () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    if (keptStacks) useKeptStacks();
    for (const name of drainSignals) {
      process.once(name, () => {
        const status = statusFromSignal(constants.signals[name]);
        component.close(status);
        // Whoever asks again does not want to wait.
        process.on(name, () => resolve(status));
      });
    }
    component.run(call).then(resolve, reject);
    return promise;
  };
}

const MAX_MODULE_BYTES = 512 * 1024 * 1024;

function openModule(file: LocatedFile): number {
  const fd = native.openInRoot(...file);
  const { size } = fstatSync(fd);
  if (size <= MAX_MODULE_BYTES) return fd;
  closeSync(fd);
  throw new TandemError("resource_exhausted", `module of ${size} bytes: too large`);
}

/** Descriptors of the workload, and where it is served if it is. */
interface WorkloadNeeds {
  readonly keep: readonly number[];
  readonly served?: HttpPlan | undefined;
}

/** Toolchains put it beside the module; only a trap will look into it, when no path leads there any more. */
function openSourceMap([root, path]: LocatedFile): number | undefined {
  const map = `${path}.map`;
  if (native.modeInRoot(root, map) === undefined) return undefined;
  try {
    return native.openInRoot(root, map);
  } catch {
    return undefined; // no regular file, or not ours to read: then there is none
  }
}

function toGrant(config: WasmConfig, held: Held, { keep, served }: WorkloadNeeds): Grant {
  const { preopens: _, listeners, network: planned, ...rest } = config.grant;
  const needs = networkNeeds({ network: planned, listeners: config.listeners, served });
  const network = planned && { resolver: readResolverFiles(config.resolver), ...planned };
  const preopens = held.enterIsolation({ keep: [...held.listeners, ...keep], ...needs });
  return {
    ...rest,
    ...(network === undefined ? {} : { network }),
    preopens,
    stdio: held.stdio,
    listeners: held.listeners.slice(0, listeners),
  };
}

function toAddress(http: HttpPlan, listeners: readonly number[]): ListenAddress {
  if ("port" in http) return http;
  const fd = listeners[http.listener];
  if (fd === undefined) throw new TandemError("internal", `http: no listening socket ${http.listener}`);
  return { fd };
}

/** Whoever chose the address knows it from there; whoever let the kernel choose a port does not. */
function announce(http: HttpPlan, { stdio }: Grant): void {
  if ("announce" in http) writeLine(stdio.stderr, `Serving HTTP on http://${http.announce}/`);
}
