import { closeSync, existsSync } from "node:fs";
import { join } from "node:path";
import { locate } from "../../wasm-host/config.ts";
import { writeGrantFile } from "../bundle/grant-file.ts";
import { loadSpec, type Spec } from "../bundle/spec.ts";
import { directories } from "../directories.ts";
import { shown, TandemError } from "../errors.ts";
import { cgroupHierarchies } from "../executor/cgroup-hierarchies.ts";
import type { Executor } from "../executor/executor.ts";
import { runHooks } from "../executor/hooks.ts";
import { createLinuxExecutor } from "../executor/linux.ts";
import { spawnPlaceholder } from "../executor/placeholder.ts";
import { selectExecutor, type WasmSelection } from "../executor/select.ts";
import { createWasmExecutor } from "../executor/wasm.ts";
import { explainGrant, httpAddress, withoutValues } from "../grant/explained-grant.ts";
import { readOperatorSettings } from "../grant/pod-settings.ts";
import { digestOf } from "../image/digest-of.ts";
import type { ImageInfo } from "../image/image-info.ts";
import { ensureTranspiled } from "../image/transpile.ts";
import { type Cgroup, type CgroupRequest, openCgroup } from "../isolation/cgroup.ts";
import { compileSeccomp } from "../isolation/seccomp.ts";
import type { Log } from "../log.ts";
import { native } from "../native.ts";
import type { ContainerDependencies, CreateOptions } from "../task/create-container.ts";
import type { EventSink } from "../task/events.ts";
import type { ZygoteAddress } from "../zygote/client.ts";

export interface DependencyOptions {
  readonly socketPath: string;
  readonly zygote: ZygoteAddress;
  /** container-init, sealed (native.sealExecutable). */
  readonly containerInit: number;
  readonly events: EventSink;
  readonly log: Log;
  /** Asks containerd what a container's image is. */
  lookup(namespace: string, containerId: string): Promise<ImageInfo | undefined>;
}

/** Create may wait for a component's transpilation and for hooks, but not for ever. */
const CREATE_TIMEOUT_MS = 180_000;

/** Wires the parts of a container together as they are in production. */
export function createContainerDependencies(options: DependencyOptions): ContainerDependencies {
  const { log } = options;
  return {
    events: options.events,
    log,
    socketPath: options.socketPath,
    loadSpec,
    openCgroup: (request, spec) => {
      const { namespace, id } = request;
      const { cgroupsPath, resources, intelRdt } = spec.linux ?? {};
      const wanted = { cgroupsPath, namespace, id, resources, intelRdt };
      return request.options.systemdCgroup ? scope(options, wanted, spec) : openCgroup(wanted);
    },
    select: async (request, spec, rootfs) => {
      const choice = selectExecutor({
        id: request.id,
        spec,
        rootfs,
        lookup: () => options.lookup(request.namespace, request.id),
        readHead: native.readHeadInRoot,
        modeOf: native.modeInRoot,
      });
      const selection = await choice.catch((error: unknown) => {
        const isThere = existsSync(rootfs);
        throw TandemError.from(error, isThere ? undefined : `root.path ${shown(rootfs)}: is not there`);
      });
      log.debug({ id: request.id, executor: selection.kind, reason: selection.reason }, "executor chosen");
      return selection;
    },
    createContainer: (selection, request, { spec, rootfs, cgroup, stdio }) => {
      const executor =
        selection.kind === "linux" ? linux(options, request) : wasm(options, request, selection, spec);
      const { id, namespace, bundle, checkpoint } = request;
      const signal = AbortSignal.timeout(CREATE_TIMEOUT_MS);
      return executor.create({
        ...{ id, namespace, bundle, rootfs, spec, cgroup, checkpoint },
        stdio: stdio?.fds,
        signal,
      });
    },
  };
}

/** Loaded when it is wanted: most machines' shims never speak to systemd. */
async function scope(
  { containerInit }: DependencyOptions,
  request: CgroupRequest,
  { annotations }: Spec,
): Promise<Cgroup> {
  const { openScope } = await import("../isolation/systemd/open-scope.ts");
  return openScope({
    ...request,
    annotations,
    env: process.env,
    placeholder: () => spawnPlaceholder(containerInit),
  });
}

function linux({ containerInit, log }: DependencyOptions, { id, options }: CreateOptions): Executor {
  return createLinuxExecutor({
    executable: containerInit,
    cgroupHierarchies,
    compileSeccomp: (profile) => compileSeccomp(profile, join(directories.state, "seccomp")),
    noPivotRoot: options.noPivotRoot,
    noNewKeyring: options.noNewKeyring,
    warn: (error) => log.warn({ err: error, id }, "went on without"),
  });
}

function wasm(
  { zygote, log }: DependencyOptions,
  request: CreateOptions,
  selection: WasmSelection,
  spec: Spec,
): Executor {
  return createWasmExecutor({
    zygote,
    selection,
    operator: readOperatorSettings(request.options.wasm, "runtime options"),
    granted: ({ grant, http, httpLimits = {} }) => {
      const explained = explainGrant(grant, {
        stdio: ["container", "container", "container"],
        listeners: [],
        http: { address: httpAddress(http), limits: httpLimits },
      });
      writeGrantFile(request.bundle, JSON.stringify(explained));
      log.info({ id: request.id, grant: withoutValues(explained) }, "granted");
    },
    transpile: (rootfs, signal) => transpile(selection, rootfs, signal, log),
    runHooks: (kind, pid) => runHooks(kind, { id: request.id, bundle: request.bundle, spec }, pid),
    warn: (error) => log.warn({ err: error, id: request.id }, "went on without"),
  });
}

/** The transpiled form of a component, from the cache or made now. A file of the rootfs has no digest yet. */
async function transpile(
  selection: WasmSelection,
  rootfs: string,
  signal: AbortSignal,
  log: Log,
): Promise<string> {
  const request = {
    stateDir: directories.state,
    signal,
    walled: true,
    // A link plan knows of nothing but what is served.
    glue: selection.export !== undefined,
    onProgress: (message: string) => log.info(message),
  };
  const { module } = selection;
  if ("path" in module && module.digest !== undefined) {
    return (await ensureTranspiled({ ...request, path: module.path, digest: module.digest })).dir;
  }
  const file = locate(module, rootfs);
  const name = `${shown(file[1])}${"inRootfs" in module ? " of the root filesystem" : ""}`;
  const fd = native.openInRoot(...file);
  try {
    // By descriptor: the image may not exchange the file between our look and the worker's.
    const path = `/proc/${native.getpid()}/fd/${fd}`;
    return (await ensureTranspiled({ ...request, path, name, digest: digestOf(fd) })).dir;
  } finally {
    closeSync(fd);
  }
}
