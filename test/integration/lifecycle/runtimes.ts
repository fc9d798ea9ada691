import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { packImage, packTarLayer, writeLayoutTar } from "oras-js";
import { hostPlatform } from "../../../examples/built-image.ts";
import { buildModule } from "../../../examples/hello-wasm/build.ts";
import type { Containerd } from "../../../scripts/private-containerd/containerd.ts";
import { writeBusyboxArchive } from "../../support/image.ts";

/** What the lifecycle suite is run on, and how each of its programs is spelled there. */
export interface Runtime {
  readonly name: "tandem-linux" | "tandem-wasm" | "runc";
  readonly runtime: string;
  readonly image: string;
  readonly programs: Programs;
}

/** Arguments of programs that behave the same on every executor. */
export interface Programs {
  exit(status: number): readonly string[];
  /** Prints a line "arg …" for each further argument and "env …" for each variable. */
  greet(...parameters: string[]): readonly string[];
  stderr(text: string): readonly string[];
  /** Prints what the file holds. */
  read(path: string): readonly string[];
  /** Copies stdin to stdout until its end. */
  readonly cat: readonly string[];
  /** Prints "sleeping" and does not end before SIGTERM, then with 143. */
  readonly sleep: readonly string[];
  /** Prints "spinning" and uses a CPU. */
  readonly spin: readonly string[];
  /** Takes so much memory and ends with 0. */
  grow(megabytes: number): readonly string[];
}

const shell = (script: string, ...parameters: string[]): readonly string[] => [
  "/bin/sh",
  "-c",
  script,
  ...parameters,
];

const linuxPrograms: Programs = {
  exit: (status) => shell(`exit ${status}`),
  greet: (...parameters) =>
    shell('for a in "$@"; do echo "arg $a"; done; env | sed "s/^/env /"', "sh", ...parameters),
  stderr: (text) => shell('echo "$0" >&2', text),
  read: (path) => ["/bin/cat", path],
  cat: ["/bin/cat"],
  // The first process of a pid namespace gets no signal that it has no handler for.
  sleep: shell('trap "exit 143" TERM; sleep 1000 & echo sleeping; wait'),
  spin: shell("echo spinning; while :; do :; done"),
  grow: (megabytes) => ["/bin/dd", "if=/dev/zero", "of=/dev/null", `bs=${megabytes}M`, "count=1"],
};

const module = "/hello-wasm.wasm";
const wasmPrograms: Programs = {
  exit: (status) => [module, "exit", String(status)],
  greet: (...parameters) => [module, "greet", ...parameters],
  stderr: (text) => [module, "stderr", text],
  read: (path) => [module, "read", path],
  cat: [module, "cat"],
  sleep: [module, "sleep", "1000"],
  spin: [module, "spin"],
  grow: (megabytes) => [module, "grow", String(megabytes)],
};

const busyboxImage = "local.test/busybox:1";
const wasmImage = "local.test/tandem/hello-wasm-tar:latest";

export const tandemLinux: Runtime = {
  name: "tandem-linux",
  runtime: "io.containerd.tandem.v1",
  image: busyboxImage,
  programs: linuxPrograms,
};
export const tandemWasm: Runtime = {
  name: "tandem-wasm",
  runtime: "io.containerd.tandem.v1",
  image: wasmImage,
  programs: wasmPrograms,
};
export const runc: Runtime = {
  name: "runc",
  runtime: "io.containerd.runc.v2",
  image: busyboxImage,
  programs: linuxPrograms,
};

/** The archives of both images; made once for a test file, removed at its end. */
export interface Archives extends Disposable {
  readonly busybox: string;
  readonly wasm: string;
}

export async function makeArchives(): Promise<Archives> {
  const directory = mkdtempSync("/tmp/ti-");
  const busybox = join(directory, "busybox.tar");
  const wasm = join(directory, "wasm.tar");
  await writeBusyboxArchive(busybox);
  await writeLayoutTar(wasm, [await packWasm()]);
  return {
    busybox,
    wasm,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

/** The guest as a file in a tar layer, with a directory to write to. */
async function packWasm() {
  const layer = await packTarLayer([
    { type: "file", path: "hello-wasm.wasm", bytes: await buildModule(), mode: 0o755 },
    { type: "file", path: "other.wasm", bytes: await buildModule(), mode: 0o755 },
    { type: "file", path: "data/greeting", bytes: Buffer.from("hello from a file\n") },
    { type: "directory", path: "tmp", mode: 0o1777 },
  ]);
  const packed = packImage({ ...hostPlatform, config: { Entrypoint: [module] }, layers: [layer] });
  return { name: wasmImage, packed, platform: hostPlatform };
}

/** Brings both images into a namespace of a containerd, unpacked. */
export async function importImages(
  containerd: Containerd,
  archives: Archives,
  namespace?: string,
): Promise<void> {
  await containerd.importImage(archives.busybox, namespace);
  await containerd.importImage(archives.wasm, namespace);
}
