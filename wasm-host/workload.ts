import { closeSync, fstatSync } from "node:fs";
import { TandemError } from "../src/errors.ts";
import { native } from "../src/native.ts";
import { loadComponent } from "./component.ts";
import { locate, type WasmConfig, type WorkloadFile } from "./config.ts";
import { statusFromSignal } from "./exit.ts";
import type { Grant } from "./grant.ts";
import { compileModule, prepareModule } from "./module.ts";
import { openTranspiled, readWhole, type TranspiledFiles } from "./transpiled.ts";

/** Runs the guest to its end; resolves, or returns, its exit status. */
export type Run = () => number | Promise<number>;

const ownStdio: Grant["stdio"] = { stdin: 0, stdout: 1, stderr: 2 };

/**
 * Opens the workload while the host can be seen, has the process isolated, then reads and compiles it: its memory is charged to
 * the container, and what V8 may get wrong with a hostile module already happens behind the wall. Nothing of the guest has run
 * when this returns.
 *
 * @param enterIsolation gives up every right but the grant's and these descriptors; returns one of the guest's root directory
 * @throws TandemError: no such file, no wasm, an import that nobody grants, no such export
 */
export function prepareWorkload(
  config: WasmConfig,
  enterIsolation: (keep: readonly number[]) => number,
  stdio = ownStdio,
): Run {
  const { workload } = config;
  if (workload.form === "component") {
    const files = openTranspiled(workload.transpiled);
    const grant = toGrant(config, enterIsolation(files.fds), stdio);
    return prepareComponent(config, files.read(), grant);
  }
  const module = openModule(config.rootfs, workload.file);
  const grant = toGrant(config, enterIsolation([module]), stdio);
  const entry = workload.export;
  return prepareModule(compileModule(readWhole(module)), grant, entry === undefined ? {} : { export: entry });
}

/** How long requests that are being answered may take after SIGTERM; kubelet's own grace is 30 s. */
const DRAIN_MS = 20_000;
const SIGTERM = 15;

function prepareComponent(config: WasmConfig, files: TranspiledFiles, grant: Grant): Run {
  const component = loadComponent({ files, grant, httpPort: config.httpPort });
  if (component.world !== "http") return () => component.run(config.workload.export);
  return () => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    process.once("SIGTERM", () => {
      setTimeout(() => resolve(statusFromSignal(SIGTERM)), DRAIN_MS).unref();
      component.close().catch(reject);
    });
    component.run(config.workload.export).then(resolve, reject);
    return promise;
  };
}

const MAX_MODULE_BYTES = 512 * 1024 * 1024;

function openModule(rootfs: string, file: WorkloadFile): number {
  const fd = native.openInRoot(...locate(file, rootfs));
  const { size } = fstatSync(fd);
  if (size <= MAX_MODULE_BYTES) return fd;
  closeSync(fd);
  throw new TandemError("resource_exhausted", `module of ${size} bytes: too large`);
}

function toGrant(config: WasmConfig, root: number, stdio: Grant["stdio"]): Grant {
  return {
    args: config.args,
    env: config.env.map(splitVariable),
    preopens: [{ fd: root, guestPath: "/", readonly: config.readonlyRootfs && config.mounts.length === 0 }],
    stdio,
    listeners: [],
  };
}

function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}
