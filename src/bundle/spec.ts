import { isUtf8 } from "node:buffer";
import { join } from "node:path";
import { shown, TandemError } from "../errors.ts";
import { parseExactly } from "./exact-json.ts";
import { readRegularFile } from "./regular-file.ts";
import type { LinuxResources } from "./resources.ts";
import {
  absolutePath,
  checkedElsewhere,
  environment,
  exactUint64,
  filePath,
  flag,
  integer,
  list,
  map,
  mountPoint,
  object,
  oneOf,
  optional,
  type Shape,
  text,
  uint32,
} from "./shape.ts";

/** Of a comparison in a seccomp rule: rounded, it would be another rule. */
export const exactKeys: ReadonlySet<string> = new Set(["value", "valueTwo"]);

const strings = list(text);
const int64 = integer(-(2 ** 63), 2 ** 63);
const uint64 = integer(0, 2 ** 64);

/** The last one, (uid_t) -1, is how setresuid(2) and chown(2) are told to leave things as they are. */
const id = integer(0, 0xffff_fffe);

const user = object({
  uid: optional(id),
  gid: optional(id),
  umask: optional(integer(0, 0o7777)),
  additionalGids: optional(list(id)),
});

const capabilities = object({
  effective: optional(strings),
  bounding: optional(strings),
  inheritable: optional(strings),
  permitted: optional(strings),
  ambient: optional(strings),
});

const scheduler = object({
  policy: text,
  nice: optional(integer(-20, 19)),
  priority: optional(integer(-(2 ** 31), 2 ** 31 - 1)),
  flags: optional(strings),
  runtime: optional(uint64),
  deadline: optional(uint64),
  period: optional(uint64),
});

const process = object({
  terminal: optional(flag),
  consoleSize: optional(object({ height: integer(0, 0xffff), width: integer(0, 0xffff) })),
  cwd: absolutePath,
  env: optional(environment),
  args: optional(strings),
  commandLine: optional(text),
  user: optional(user),
  rlimits: optional(list(object({ type: text, soft: uint64, hard: uint64 }))),
  apparmorProfile: optional(text),
  selinuxLabel: optional(text),
  capabilities: optional(capabilities),
  noNewPrivileges: optional(flag),
  oomScoreAdj: optional(integer(-1000, 1000)),
  scheduler: optional(scheduler),
  ioPriority: optional(object({ class: text, priority: optional(integer(0, 7)) })),
  execCPUAffinity: optional(object({ initial: optional(text), final: optional(text) })),
});

const idMapping = object({ containerID: uint32, hostID: uint32, size: uint32 });

const mount = object({
  destination: mountPoint,
  type: optional(text),
  source: optional(filePath),
  options: optional(strings),
  uidMappings: optional(list(idMapping)),
  gidMappings: optional(list(idMapping)),
});

const hook = object({
  path: absolutePath,
  args: optional(strings),
  env: optional(environment),
  timeout: optional(integer(1, 2 ** 31)),
});

const hooks = object({
  prestart: optional(list(hook)),
  createRuntime: optional(list(hook)),
  createContainer: optional(list(hook)),
  startContainer: optional(list(hook)),
  poststart: optional(list(hook)),
  poststop: optional(list(hook)),
});

const seccompSyscall = object({
  names: strings,
  action: text,
  errnoRet: optional(uint32),
  args: optional(
    list(object({ index: integer(0, 5), value: exactUint64, valueTwo: optional(exactUint64), op: text })),
  ),
});

const seccomp = object({
  defaultAction: text,
  defaultErrnoRet: optional(uint32),
  architectures: optional(strings),
  flags: optional(strings),
  listenerPath: optional(text),
  listenerMetadata: optional(text),
  syscalls: optional(list(seccompSyscall)),
});

const namespace = object({
  type: oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"),
  path: optional(filePath),
});

const device = object({
  type: oneOf("c", "b", "u", "p"),
  path: absolutePath,
  major: optional(int64),
  minor: optional(int64),
  // podman's is st_mode, with the bits of the file's kind.
  fileMode: optional(integer(0, 0o177777)),
  uid: optional(id),
  gid: optional(id),
});

const intelRdt = object({
  closID: optional(text),
  schemata: optional(strings),
  l3CacheSchema: optional(text),
  memBwSchema: optional(text),
  enableMonitoring: optional(flag),
});

const memoryPolicy = object({ mode: text, nodes: optional(text), flags: optional(strings) });

const linux = object({
  namespaces: optional(list(namespace)),
  uidMappings: optional(list(idMapping)),
  gidMappings: optional(list(idMapping)),
  timeOffsets: optional(map(object({ secs: optional(int64), nanosecs: optional(uint32) }))),
  devices: optional(list(device)),
  cgroupsPath: optional(text),
  resources: optional(checkedElsewhere<LinuxResources>()),
  rootfsPropagation: optional(
    oneOf("", "shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"),
  ),
  seccomp: optional(seccomp),
  sysctl: optional(map(text)),
  maskedPaths: optional(list(absolutePath)),
  readonlyPaths: optional(list(absolutePath)),
  mountLabel: optional(text),
  intelRdt: optional(intelRdt),
  personality: optional(object({ domain: oneOf("LINUX", "LINUX32"), flags: optional(strings) })),
  netDevices: optional(map(object({ name: optional(text) }))),
  memoryPolicy: optional(memoryPolicy),
});

const spec = object({
  ociVersion: text,
  root: optional(object({ path: filePath, readonly: optional(flag) })),
  mounts: optional(list(mount)),
  process: optional(process),
  hostname: optional(text),
  domainname: optional(text),
  hooks: optional(hooks),
  annotations: optional(map(text)),
  linux: optional(linux),
});

type Of<S> = S extends Shape<infer T> ? T : never;

/** config.json of the OCI runtime spec 1.3, as far as Linux and Tandem have a use for it. */
export type Spec = Of<typeof spec>;
export type SpecProcess = Of<typeof process>;
export type SpecMount = Of<typeof mount>;
export type SpecHook = Of<typeof hook>;
export type SpecDevice = Of<typeof device>;
export type SpecSeccomp = Of<typeof seccomp>;
export type SpecIntelRdt = Of<typeof intelRdt>;
export type SpecMemoryPolicy = Of<typeof memoryPolicy>;
export type SpecIdMapping = Of<typeof idMapping>;
export type HookKind = keyof Of<typeof hooks>;

/**
 * Reads a bundle's config.json.
 *
 * @throws TandemError not_found when there is none, invalid_argument naming the property that is not as the spec wants it
 */
export function loadSpec(bundle: string): Spec {
  const path = join(bundle, "config.json");
  let json: Buffer;
  try {
    json = readRegularFile(path);
  } catch (error) {
    throw TandemError.from(error, "config.json");
  }
  // Decoded all the same, a path of other bytes would become the path of something else.
  if (!isUtf8(json)) throw new TandemError("invalid_argument", "config.json: is not UTF-8");
  return parseSpec(json.toString());
}

/** The pure half of `loadSpec`. */
export function parseSpec(json: string): Spec {
  return checkSpec(parseJson(json, "config.json"));
}

/** A specification that is parsed already, with `exactKeys`. @throws TandemError invalid_argument naming the property */
export function checkSpec(json: unknown): Spec {
  const result = spec(json, "");
  if (result.root?.path === "") throw new TandemError("invalid_argument", "root.path: is empty");
  if (!/^1\.\d+\.\d+/.test(result.ociVersion)) {
    throw new TandemError("invalid_argument", `ociVersion: ${shown(result.ociVersion)} is not a version 1`);
  }
  return result;
}

/**
 * Reads the process of an exec request, already parsed as JSON.
 *
 * @throws TandemError invalid_argument naming the property
 */
export function parseProcess(json: unknown): SpecProcess {
  return process(json, "process");
}

/**
 * Reads the resources of an update request, already parsed as JSON.
 *
 * @throws TandemError invalid_argument when it is no object; the cgroup checks what is in it
 */
export function parseResources(json: unknown): LinuxResources {
  return checkedElsewhere<LinuxResources>()(json, "resources");
}

function parseJson(json: string, subject: string): unknown {
  try {
    return parseExactly(json, exactKeys);
  } catch (error) {
    // What stands there may be secret, or anything; where it stands is enough.
    const place = / at position \d+.*$/.exec((error as Error).message)?.[0] ?? "";
    throw new TandemError("invalid_argument", `${subject}: is not JSON${place}`, { cause: error });
  }
}

/** The poststop hooks as the bundle's state file has them. */
export function poststopHooks(spec: Spec): readonly {
  readonly path: string;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly timeout: number;
}[] {
  return (spec.hooks?.poststop ?? []).map((hook) => ({
    path: hook.path,
    args: hook.args ?? [],
    env: hook.env ?? [],
    timeout: hook.timeout ?? 0,
  }));
}
