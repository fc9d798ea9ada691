import { constants } from "node:fs";
import { posix } from "node:path";
import { locate, type WorkloadFile } from "../../wasm-host/config.ts";
import { TandemError } from "../errors.ts";
import type { ImageInfo } from "../image/image-info.ts";
import type { WasmForm } from "../image/layers.ts";
import { isWat, WASM_HEAD_LENGTH, wasmForm } from "../image/wasm-form.ts";
import { type Demand, demandOf } from "./select-annotations.ts";
import { type Entry, splitEntry } from "./split-entry.ts";

/** What of config.json the choice depends on. */
export interface SelectSpec {
  readonly process?: {
    readonly args?: readonly string[];
    readonly env?: readonly string[];
    readonly cwd?: string;
  };
  readonly annotations?: Readonly<Record<string, string>>;
  readonly mounts?: readonly {
    readonly destination: string;
    readonly source?: string;
    readonly type?: string;
    readonly options?: readonly string[];
  }[];
}

export interface SelectRequest {
  /** Container id, for messages. */
  readonly id: string;
  readonly spec: SelectSpec;
  /** Absolute path of the mounted root file system. */
  readonly rootfs: string;
  /** Asks containerd for the container's image. undefined: it knows of none. */
  readonly lookup: () => Promise<ImageInfo | undefined>;
  /** First bytes of a regular file, its path resolved inside root; undefined when there is none (native.readHeadInRoot). */
  readonly readHead: (root: string, path: string, length: number) => Uint8Array | undefined;
  /** st_mode of whatever is at a path, resolved the same way; asked only to say what is wrong (native.modeInRoot). */
  readonly modeOf: (root: string, path: string) => number | undefined;
}

export interface LinuxSelection {
  readonly kind: "linux";
  /** What decided, for logs and `tandem ps`. */
  readonly reason: string;
}

export interface WasmSelection {
  readonly kind: "wasm";
  readonly module: WorkloadFile & { readonly digest?: string };
  readonly form: WasmForm;
  /** The entry that `path.wasm#export` names. */
  readonly export: string | undefined;
  /** Media type of the layer; `application/wasm` for a file of the rootfs. */
  readonly mediaType: string;
  readonly reason: string;
}

export type Selection = LinuxSelection | WasmSelection;

/** A file of the container's file system that may be the entrypoint. */
interface Candidate {
  /** As the container sees it. */
  readonly path: string;
  /** Where its bytes are: in the rootfs, or on the host when a mount of config.json covers it. */
  readonly file: WorkloadFile;
  readonly head: Uint8Array;
}

const anyExecutes = constants.S_IXUSR | constants.S_IXGRP | constants.S_IXOTH;
const sandboxAnnotation = "io.kubernetes.cri.container-type";
/** execvpe's choice where the environment has no PATH, as runc's and crun's default. */
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Chooses the executor of a container, once. In this order:
 *
 * 1. A sandbox (pause) container is a Linux container, whatever its pod is annotated with.
 * 2. Annotations: `tandem.dev/executor`, `run.oci.handler`, `module.wasm.image/variant` (select-annotations.ts). They override
 *    what follows: `linux` decides at once; `wasm` still needs a module, from 3 or 4, and refuses anything else.
 * 3. The first bytes of the entrypoint in the rootfs or in a bind mount over it: `\0asm` is wasm, `\x7fELF` and `#!` are Linux.
 *    Bare names are looked for in PATH.
 * 4. The image's manifest: a wasm layer is wasm, an image for Linux is Linux (whose executor then says what is wrong with the
 *    entrypoint).
 * 5. Else an error that names all that was looked at.
 *
 * The bytes come before the manifest because an entrypoint that is there decides anyway (runwasi does the same), and because asking
 * containerd costs gRPC calls on the way to every Linux container's first byte; a file's head costs three system calls.
 *
 * @throws TandemError invalid_argument: no entrypoint, text form (.wat), nothing that can be run; or what `lookup` raised.
 */
export async function selectExecutor(request: SelectRequest): Promise<Selection> {
  const annotations = request.spec.annotations ?? {};
  if (annotations[sandboxAnnotation] === "sandbox")
    return { kind: "linux", reason: `annotation ${sandboxAnnotation}=sandbox` };
  const entry = parseEntry(request);
  const demand = demandOf(annotations, entry.path);
  if (demand?.executor === "linux") return { kind: "linux", reason: demand.reason };
  if (entry.path.endsWith(".wat")) throw textForm(request.id, entry.path);
  const candidate = findEntrypoint(request, entry.path);
  const byBytes =
    candidate === undefined ? undefined : selectByBytes(request.id, candidate, entry.export, demand);
  if (byBytes !== undefined) return byBytes;
  return selectByImage(request, entry, { candidate, demand });
}

function parseEntry({ id, spec }: SelectRequest): Entry {
  const argument = spec.process?.args?.[0];
  if (argument === undefined || argument === "") {
    throw new TandemError(
      "invalid_argument",
      `container ${id}: config.json: process.args names no entrypoint`,
    );
  }
  return splitEntry(argument);
}

function textForm(id: string, path: string): TandemError {
  return new TandemError(
    "invalid_argument",
    `container ${id}: ${path} is WebAssembly text (.wat), which is not run: translate it to a binary first (wat2wasm, wasm-tools parse)`,
  );
}

function selectByBytes(
  id: string,
  candidate: Candidate,
  entryExport: string | undefined,
  demand: Demand | undefined,
): Selection | undefined {
  const { head, path } = candidate;
  const form = wasmForm(head);
  if (form !== undefined) {
    return {
      kind: "wasm",
      module: candidate.file,
      form,
      export: entryExport,
      mediaType: "application/wasm",
      reason: reasonOf(demand, `${path} begins with the bytes of a wasm ${form}`),
    };
  }
  if (isWat(head)) throw textForm(id, path);
  const native = isElf(head) ? "an ELF executable" : isScript(head) ? "a script" : undefined;
  if (native === undefined) return undefined;
  if (demand === undefined) return { kind: "linux", reason: `${path} is ${native}` };
  throw new TandemError(
    "invalid_argument",
    `container ${id}: ${demand.reason} asks for wasm, but ${path} is ${native}`,
  );
}

async function selectByImage(
  request: SelectRequest,
  entry: Entry,
  found: { readonly candidate: Candidate | undefined; readonly demand: Demand | undefined },
): Promise<Selection> {
  let image: ImageInfo | undefined;
  try {
    image = await request.lookup();
  } catch (error) {
    throw TandemError.from(
      error,
      `container ${request.id}: ${describeEntry(request, entry, found.candidate)}, and its image cannot be read`,
    );
  }
  const module = image?.module;
  if (image !== undefined && module !== undefined) {
    return {
      kind: "wasm",
      module: { path: module.path, digest: module.digest },
      form: module.form,
      export: entry.export,
      mediaType: module.mediaType,
      reason: reasonOf(found.demand, `image ${image.imageName} has a layer of ${module.mediaType}`),
    };
  }
  if (image?.kind === "linux" && found.demand === undefined) {
    return { kind: "linux", reason: `image ${image.imageName} is for ${image.os}/${image.architecture}` };
  }
  throw nothingToRun(request, entry, { ...found, image });
}

function nothingToRun(
  request: SelectRequest,
  entry: Entry,
  found: {
    readonly candidate: Candidate | undefined;
    readonly demand: Demand | undefined;
    readonly image: ImageInfo | undefined;
  },
): TandemError {
  const { image, demand, candidate } = found;
  const looked = [
    demand === undefined ? "no annotation chooses an executor" : `${demand.reason} asks for wasm`,
    describeEntry(request, entry, candidate),
    image === undefined
      ? "containerd knows no image of this container"
      : `image ${image.imageName} (${image.configMediaType}, ${image.os || "?"}/${image.architecture || "?"}) has no wasm layer`,
  ];
  return new TandemError("invalid_argument", `container ${request.id}: nothing to run: ${looked.join("; ")}`);
}

/**
 * What is wrong with the entrypoint. Docker reads its exit code from the words: 127 from "no such file or directory" and "executable
 * file not found", 126 from "permission denied" and "is a directory" (shim-protocol §9.1).
 */
function describeEntry(request: SelectRequest, entry: Entry, candidate: Candidate | undefined): string {
  const quoted = JSON.stringify(entry.path);
  if (candidate !== undefined) {
    const bytes = Buffer.from(candidate.head.subarray(0, 4)).toString("hex") || "nothing";
    const executable = ((modeOf(request, candidate.path) ?? 0) & anyExecutes) !== 0;
    const denied = executable ? "" : " and is not executable: permission denied";
    return `entrypoint ${candidate.path} is neither wasm nor ELF nor a script (it begins with ${bytes})${denied}`;
  }
  if (!entry.path.includes("/")) return `entrypoint ${quoted}: executable file not found in $PATH`;
  const mode = modeOf(request, posix.resolve("/", request.spec.process?.cwd || "/", entry.path));
  if (mode === undefined) return `entrypoint ${quoted}: no such file or directory`;
  if ((mode & constants.S_IFMT) === constants.S_IFDIR) return `entrypoint ${quoted}: is a directory`;
  return `entrypoint ${quoted}: not a regular file: permission denied`;
}

function modeOf(request: SelectRequest, path: string): number | undefined {
  return request.modeOf(...locate(bindSource(request.spec, path) ?? { inRootfs: path }, request.rootfs));
}

function reasonOf(demand: Demand | undefined, finding: string): string {
  return demand === undefined ? finding : `${demand.reason}; ${finding}`;
}

function isElf(head: Uint8Array): boolean {
  return head[0] === 0x7f && head[1] === 0x45 && head[2] === 0x4c && head[3] === 0x46;
}

function isScript(head: Uint8Array): boolean {
  return head[0] === 0x23 && head[1] === 0x21;
}

/** Finds the entrypoint as execvpe would, and a module also where runwasi looks: relative to the working directory and to /. */
function findEntrypoint(request: SelectRequest, path: string): Candidate | undefined {
  const cwd = request.spec.process?.cwd || "/";
  if (path.includes("/")) return readCandidate(request, posix.resolve("/", cwd, path));
  for (const directory of searchPath(request.spec)) {
    const candidate = readCandidate(request, posix.resolve("/", cwd, directory, path));
    if (candidate !== undefined) return candidate;
  }
  for (const directory of new Set([posix.resolve("/", cwd), "/"])) {
    const candidate = readCandidate(request, posix.join(directory, path));
    // A program that is not in PATH is not found by exec either: only a module may be named like this.
    if (candidate !== undefined && (wasmForm(candidate.head) !== undefined || isWat(candidate.head)))
      return candidate;
  }
  return undefined;
}

function searchPath(spec: SelectSpec): readonly string[] {
  const variable = spec.process?.env?.find((entry) => entry.startsWith("PATH="))?.slice("PATH=".length);
  return (variable ?? defaultPath).split(":");
}

function readCandidate(request: SelectRequest, path: string): Candidate | undefined {
  const file = bindSource(request.spec, path) ?? { inRootfs: path };
  try {
    const head = request.readHead(...locate(file, request.rootfs), WASM_HEAD_LENGTH);
    return head === undefined ? undefined : { path, file, head };
  } catch (error) {
    throw TandemError.from(error, `container ${request.id}: entrypoint ${path}`);
  }
}

/**
 * The file on the host that a bind mount of config.json will put at `path`. The last mount that covers it is on top. What lies
 * beneath a volume's directory may be another container's symlinks: it is resolved within.
 */
function bindSource(spec: SelectSpec, path: string): WorkloadFile | undefined {
  for (const mount of [...(spec.mounts ?? [])].reverse()) {
    const destination = posix.resolve("/", mount.destination);
    const below = destination === "/" ? "/" : `${destination}/`;
    if (path !== destination && !path.startsWith(below)) continue;
    const bind =
      mount.type === "bind" || mount.options?.some((option) => option === "bind" || option === "rbind");
    if (bind !== true || mount.source === undefined) return undefined;
    if (path === destination) return { path: mount.source };
    return { mountSource: mount.source, inMount: path.slice(below.length) };
  }
  return undefined;
}
