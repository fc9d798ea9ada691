import { closeSync, openSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { TandemError } from "../src/errors.ts";
import { native } from "../src/native.ts";
import { loadComponent, readTranspiled, type TranspiledFiles } from "./component.ts";
import type { StatusLine, WasmConfig, WasmMount, WorkloadFile } from "./config.ts";
import { exitStatuses, statusFromFailure, statusFromSignal } from "./exit.ts";
import type { Grant } from "./grant.ts";
import { compileModule, runModule } from "./module.ts";
import { reportLine } from "./report.ts";

/** What the zygote made ahead for every wasm process. */
export interface WasmHost {
  /** A mount namespace with an empty root (native.createEmptyMountNamespace). */
  readonly emptyMountNamespace: number;
  /** The seccomp filter of a wasm process; undefined only in tests. */
  readonly filter: Buffer | undefined;
}

const SIGTERM = 15;

/** Descriptors of a "wasm" request (config.ts). */
const [STDIN, STDOUT, STDERR, GO, STATUS] = [0, 1, 2, 3, 4];

/**
 * A freshly forked process becomes a wasm container: reads what it needs from the host, goes behind the kernel's wall, compiles,
 * says that it is ready, waits for Start, runs. Never returns to whoever forked it: it ends with the guest.
 */
export function becomeWasmProcess(host: WasmHost, fields: readonly Buffer[], fds: readonly number[]): void {
  const status = fds[STATUS] ?? -1;
  const say = (line: StatusLine): void => {
    writeSync(status, `${JSON.stringify(line)}\n`);
  };
  const exit = (code: number): never => {
    say({ exit: code });
    return native.exitNow(code);
  };
  let ready = false;
  try {
    const config = JSON.parse(fields[2]?.toString() ?? "") as WasmConfig;
    const go = fds[GO] ?? -1;
    takeStdio(fds);
    native.setProcessName("tandem-wasm");
    native.exitOnSignal(status);
    const prepared = prepare(host, config);
    say({ ready: true });
    ready = true;
    // The end of the pipe instead of a byte: the shim died before Start.
    if (readSync(go, Buffer.alloc(1), 0, 1, null) === 0) exit(exitStatuses.killed);
    closeSync(go);
    prepared(exit);
  } catch (error) {
    const failure = TandemError.from(error);
    // Before "ready" Create fails with the reason; afterwards the container has ended, and its log says why.
    if (!ready) say({ error: failure.message, code: failure.code });
    else fail(failure, exit);
    native.exitNow(exitStatuses.hostError);
  }
}

function fail(failure: TandemError, exit: (code: number) => never): never {
  reportLine(STDERR, failure.message);
  return exit(statusFromFailure(failure));
}

function takeStdio(fds: readonly number[]): void {
  for (const [index, target] of [STDIN, STDOUT, STDERR].entries()) {
    const fd = fds[index] ?? -1;
    native.replaceFd(fd, target);
    closeSync(fd);
  }
  // A pid namespace's descriptor was for the fork.
  for (const fd of fds.slice(STATUS + 1)) closeSync(fd);
}

/** Runs the guest and ends the process. */
type Prepared = (exit: (code: number) => never) => void;

function prepare(host: WasmHost, config: WasmConfig): Prepared {
  const { workload } = config;
  const source = workload.form === "module" ? readWorkload(config.rootfs, workload.file) : readTranspiled(workload.transpiled);
  const root = isolate(host, config);
  const grant = toGrant(config, root);
  // Compiling is already the guest's doing: what V8 may get wrong with a hostile module happens behind the wall.
  if (source instanceof Uint8Array) {
    const module = compileModule(source);
    const entry = workload.export;
    return (exit) => exit(runModule(module, grant, entry === undefined ? {} : { export: entry }));
  }
  return prepareComponent(config, source, grant);
}

/** How long requests that are being answered may take after SIGTERM; kubelet's own grace is 30 s. */
const DRAIN_MS = 20_000;

function prepareComponent(config: WasmConfig, files: TranspiledFiles, grant: Grant): Prepared {
  const component = loadComponent({ files, grant, httpPort: config.httpPort });
  return (exit) => {
    if (component.world === "http") {
      process.once("SIGTERM", () => {
        setTimeout(() => exit(statusFromSignal(SIGTERM)), DRAIN_MS).unref();
        component.close().catch((error: unknown) => fail(TandemError.from(error), exit));
      });
    }
    component.run(config.workload.export).then(exit, (error: unknown) => fail(TandemError.from(error), exit));
  };
}

const MAX_MODULE_BYTES = 512 * 1024 * 1024;

function readWorkload(rootfs: string, file: WorkloadFile): Uint8Array {
  const fd = "path" in file ? openSync(file.path, "r") : native.openInRoot(rootfs, file.inRootfs, 0);
  try {
    const size = statSync(`/proc/self/fd/${fd}`).size;
    if (size > MAX_MODULE_BYTES) throw new TandemError("resource_exhausted", `module of ${size} bytes: too large`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Takes every right away but those of the grant. Returns a descriptor of the guest's root directory. */
function isolate(host: WasmHost, config: WasmConfig): number {
  const { isolation } = config;
  const joined = isolation.joinNamespaces.map((path) => openSync(path, "r"));
  const root = { fd: native.cloneMount(config.rootfs, { recursive: true, readonly: config.readonlyRootfs }), target: "/", directory: true };
  const mounts = [root, ...config.mounts.map(openMount)];
  const { root: directory } = native.isolate({
    cgroupFiles: isolation.cgroupFiles,
    oomScoreAdj: isolation.oomScoreAdj,
    rlimits: isolation.rlimits.map(([resource, soft, hard]) => [resource, BigInt(soft), BigInt(hard)]),
    joinNamespaces: joined,
    emptyMountNamespace: host.emptyMountNamespace,
    unshare: isolation.unshare,
    hostname: isolation.hostname,
    mounts,
    umask: isolation.umask,
    user: isolation.user,
    filter: host.filter,
  });
  for (const fd of joined) closeSync(fd);
  closeSync(host.emptyMountNamespace);
  return directory;
}

function openMount(mount: WasmMount): { fd: number; target: string; directory: boolean } {
  const { source, target, readonly } = mount;
  if ("tmpfs" in source) return { fd: native.createTmpfs(source.tmpfs, readonly), target, directory: true };
  const directory = statSync(source.bind).isDirectory();
  return { fd: native.cloneMount(source.bind, { recursive: source.recursive, readonly }), target, directory };
}

function toGrant(config: WasmConfig, root: number): Grant {
  return {
    args: config.args,
    env: config.env.map(splitVariable),
    preopens: [{ fd: root, guestPath: "/", readonly: config.readonlyRootfs && config.mounts.length === 0 }],
    stdio: { stdin: STDIN, stdout: STDOUT, stderr: STDERR },
    listeners: [],
  };
}

function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals < 0 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}
