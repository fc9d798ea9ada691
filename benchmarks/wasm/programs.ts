import { globSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runTool } from "../../examples/tools.ts";

/** A program in both forms. Each prints one line, the same in both, and ends. */
export interface Program {
  readonly name: string;
  /** What it does: the first comment of its source. */
  readonly about: string;
  readonly native: string;
  readonly wasm: string;
}

interface Source {
  readonly name: string;
  readonly about: string;
  readonly files: readonly string[];
  readonly flags: readonly string[];
  /** Only for WASI: what its libc emulates. */
  readonly wasiFlags?: readonly string[];
}

const kernels = fileURLToPath(new URL("kernels/", import.meta.url));
const common = ["-std=gnu17", "-O2"];
const wasi = ["--target=wasm32-wasi", "--sysroot=/usr", "-Wl,--strip-all"];

/**
 * Compiles the kernels of this tree, and CoreMark where its source is, into a directory.
 *
 * @param coremark a checkout of eembc/coremark: it is in no package registry, so that nobody gets it unasked
 */
export async function buildPrograms(directory: string, coremark: string | undefined): Promise<Program[]> {
  mkdirSync(directory, { recursive: true });
  const sources = globSync("*.c", { cwd: kernels }).sort().map(kernel);
  if (coremark !== undefined) sources.push(coremarkIn(coremark));
  const programs: Program[] = [];
  for (const source of sources) programs.push(await build(source, directory));
  return programs;
}

function kernel(file: string): Source {
  const path = join(kernels, file);
  const [, about = ""] = /^\/\/ (.*)$/m.exec(readFileSync(path, "utf8")) ?? [];
  return { name: basename(file, ".c"), about, files: [path], flags: ["-Wall", "-Wextra", "-Werror"] };
}

/** The performance run with a fixed number of iterations: shorter than what a score would have to take. */
function coremarkIn(directory: string): Source {
  const parts = [
    "core_list_join",
    "core_main",
    "core_matrix",
    "core_state",
    "core_util",
    "posix/core_portme",
  ];
  return {
    name: "coremark",
    about: "CoreMark 1.0",
    files: parts.map((part) => join(directory, `${part}.c`)),
    flags: [
      ...[`-I${directory}`, `-I${join(directory, "posix")}`],
      ...[
        "-DPERFORMANCE_RUN=1",
        "-DSEED_METHOD=SEED_VOLATILE",
        "-DITERATIONS=20000",
        '-DFLAGS_STR="-O2"',
        "-Wno-format",
      ],
    ],
    wasiFlags: ["-D_WASI_EMULATED_PROCESS_CLOCKS", "-lwasi-emulated-process-clocks"],
  };
}

async function build(
  { name, about, files, flags, wasiFlags = [] }: Source,
  directory: string,
): Promise<Program> {
  const native = join(directory, name);
  const wasm = join(directory, `${name}.wasm`);
  await runTool("cc", [...common, ...flags, ...files, "-o", native, "-lm"], directory);
  await runTool("clang-14", [...wasi, ...common, ...flags, ...files, ...wasiFlags, "-o", wasm], directory);
  return { name, about, native, wasm };
}
