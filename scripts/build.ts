/**
 * Builds dist/: what a containerd needs on its PATH (dist/bin) and what that needs beside it (dist/lib/tandem).
 * Everything is taken from this tree; nothing of node_modules is needed at run time.
 *
 *     node scripts/build.ts [DIRECTORY]     default: dist
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { features } from "../src/isolation/features.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);
const target = resolve(process.argv[2] ?? join(root, "dist"));
const bin = join(target, "bin");
const lib = join(target, "lib/tandem");

/** Native build products → where they are installed. */
const natives: Readonly<Record<string, string>> = {
  "native/build/Release/tandem.node": join(lib, "tandem.node"),
  "native/build/Release/tandem-code.node": join(lib, "tandem-code.node"),
  "native/build/Release/tandem-dofork.so": join(lib, "tandem-dofork.so"),
  "native/build/Release/container-init": join(lib, "container-init"),
  "native/build/Release/containerd-shim-tandem-v1": join(bin, "containerd-shim-tandem-v1"),
  "native/build/Release/tandem-oci": join(bin, "tandem-oci"),
  "native/build/Release/tandem": join(bin, "tandem"),
};

/** Flags of the zygote's Node, one a line; the launcher reads them (native/launcher/zygote.c). */
const zygoteFlags = [
  "--single-threaded", // Compile and GC jobs posted to threads that a forked child does not have would never run.
  "--v8-pool-size=0", // The scavenger would hand work to V8's own threads and wait for them for ever.
  // Its timer would fire in each child and start a marking whose sweeping copies the whole heap.
  "--no-memory-reducer",
  "--no-warnings", // A warning on stderr would become part of the address (shim-protocol §1.5).
  "--expose-gc", // The zygote collects its warm-up's garbage before the first fork.
  "--retain-maps-for-n-gc=1000", // Hidden classes outlive the objects of the warm-up that had them.
  // A shim runs each function a few times: compiled code and notes on types of its own would cost it more pages than time.
  // A wasm process and a resolver turn them on again (src/engine.ts).
  "--no-sparkplug",
  "--no-maglev",
  "--no-opt",
  "--invocation-count-for-feedback-allocation=100000",
  "--compact-on-every-full-gc", // What is close together is copied together.
  "--no-flush-bytecode", // What the warm-up compiled must still be compiled when a child needs it.
  // V8 would leave the optimising of a guest's hot functions to a thread that a forked child does not have: never done.
  "--wasm-sync-tier-up",
];

const common = {
  bundle: true,
  platform: "node",
  target: "node26",
  sourcemap: false,
  minifySyntax: true,
  legalComments: "none",
  logLevel: "warning",
} as const;

async function bundle(): Promise<void> {
  await bundleTogether({
    main: join(root, "src/main.ts"),
    "transpile-worker": join(root, "src/image/transpile-worker.ts"),
    cli: join(root, "src/cli/main.ts"),
  });
  // It shares no chunk with main.mjs: what it runs has to be made in its own process (src/main.ts).
  await bundleTogether({ oci: join(root, "src/oci/server.ts") });
  // The program of a guest's threads is handed to each as text (src/zygote/warm-up.ts): a script, in one piece.
  await build({
    ...common,
    entryPoints: [join(root, "wasm-host/threads/thread.ts")],
    outfile: join(lib, "wasm-thread.cjs"),
    format: "cjs",
    define: { "import.meta.url": "undefined" },
  });
}

/** Modules that several of the entries use become chunks that they share. */
async function bundleTogether(entryPoints: Readonly<Record<string, string>>): Promise<void> {
  await build({
    ...common,
    entryPoints: { ...entryPoints },
    outdir: lib,
    outExtension: { ".js": ".mjs" },
    format: "esm",
    // What is imported on demand stays out of main.mjs, and so out of the zygote and of what each fork has to copy.
    splitting: true,
    chunkNames: `${Object.keys(entryPoints)[0]}-[hash]`,
    // CommonJS dependencies (grpc-js) ask for require.
    banner: {
      js: "import { createRequire as tandemRequire } from 'node:module'; const require = tandemRequire(import.meta.url);",
    },
  });
}

function bundles(): string[] {
  return readdirSync(lib).filter((name) => /\.[mc]js$/.test(name));
}

/** What the transpile worker's libraries load beside themselves by their own location. */
function installWorkerFiles(): void {
  const modules = join(root, "node_modules/@bytecodealliance");
  for (const file of [
    "jco-transpile/vendor/js-component-bindgen-component.core.wasm",
    "jco-transpile/vendor/js-component-bindgen-component.core2.wasm",
  ]) {
    copyFileSync(join(modules, file), join(lib, basename(file)));
  }
}

function installFile(from: string, to: string): void {
  // A new file under the old name: a running zygote keeps the one it has open.
  const temporary = `${to}.new`;
  rmSync(temporary, { force: true });
  copyFileSync(from, temporary);
  chmodSync(temporary, 0o755);
  renameSync(temporary, to);
}

/** The pinned Node, by hard link where that works: it is 120 MB. */
function installNode(): void {
  const packageJson = require.resolve(`node-linux-${process.arch}/package.json`);
  const node = join(dirname(packageJson), "bin/node");
  const installed = join(lib, "node");
  rmSync(installed, { force: true });
  try {
    linkSync(node, installed);
  } catch {
    copyFileSync(node, installed);
  }
}

/** Names the build: a zygote of another build has its own socket (ARCHITECTURE.md, upgrades). */
function writeBuildId(): void {
  const hash = createHash("sha256").update(`${zygoteFlags.join("\n")}\n`);
  for (const file of [
    ...bundles(),
    "tandem.node",
    "tandem-code.node",
    "tandem-dofork.so",
    "container-init",
  ]) {
    if (existsSync(join(lib, file))) hash.update(readFileSync(join(lib, file)));
  }
  writeFileSync(join(lib, "build-id"), hash.digest("hex").slice(0, 16));
}

mkdirSync(bin, { recursive: true });
mkdirSync(lib, { recursive: true });
for (const name of bundles()) rmSync(join(lib, name));
await bundle();
for (const [from, to] of Object.entries(natives)) installFile(join(root, from), to);
installNode();
installWorkerFiles();
writeFileSync(join(lib, "zygote.args"), `${zygoteFlags.join("\n")}\n`);
writeFileSync(join(lib, "features.json"), `${JSON.stringify(features)}\n`);
writeBuildId();
