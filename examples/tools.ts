import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached } from "./cache.ts";

/** The Debian packages that building every example takes. */
export const debianPackages: readonly string[] = [
  "clang-14",
  "lld-14",
  "wasi-libc",
  "libclang-rt-14-dev-wasm32",
  "gcc",
  "libc6-dev",
  "busybox-static",
];

const run = promisify(execFile);

/** Runs `work` with a directory that is gone afterwards. */
export async function inTemporaryDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "tandem-example-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs a build tool. The error of one that fails, or is not there, says what to install. */
export async function runTool(tool: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(tool, args, { cwd, maxBuffer: 16 * 1024 * 1024 });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === "ENOENT")
      throw new Error(`${tool}: not installed; apt-get install ${debianPackages.join(" ")}`);
    throw new Error(`${tool} ${args.join(" ")}: ${stderr?.trim() || String(error)}`, { cause: error });
  }
}

interface Compiler {
  readonly tool: string;
  readonly flags: readonly string[];
}

/** C to a WASI 0.1 command. Debian keeps wasi-libc under /usr and its builtins where clang looks for them. */
const wasi: Compiler = {
  tool: "clang-14",
  flags: [
    "--target=wasm32-wasi",
    "--sysroot=/usr",
    "-std=gnu17",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--strip-all",
  ],
};

/** C to a Linux program that needs nothing beside itself. */
const staticLinux: Compiler = {
  tool: "cc",
  flags: ["-static", "-s", "-std=gnu17", "-Os", "-Wall", "-Wextra", "-Werror"],
};

/** Compiles one C file to a core module. */
export async function compileWasm(source: URL, cacheDir?: string): Promise<Uint8Array> {
  return await compile(wasi, source, "module.wasm", cacheDir);
}

/** Compiles one C file to a static program for this machine. */
export async function compileStatic(source: URL, cacheDir?: string): Promise<Uint8Array> {
  return await compile(staticLinux, source, `program-${process.arch}`, cacheDir);
}

async function compile(
  compiler: Compiler,
  source: URL,
  name: string,
  cacheDir?: string,
): Promise<Uint8Array> {
  const { tool, flags } = compiler;
  const make = () =>
    inTemporaryDirectory(async (directory) => {
      const output = join(directory, name);
      await runTool(tool, [...flags, source.pathname, "-o", output], directory);
      return await readFile(output);
    });
  return await cached({ name, inputs: [tool, ...flags, await readFile(source)], make }, cacheDir);
}
