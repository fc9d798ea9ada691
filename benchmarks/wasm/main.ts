/**
 * `npm run bench:wasm`: how fast guests compute, beside wasmtime and the machine itself. See ../README.md.
 *
 *     main.ts ──┬─ unshare ─▶ main.ts --inside DIR      measures, in a mount namespace and cgroups of its own
 *               └─ afterwards: ends what is left, removes the cgroups and the directory
 */
import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError } from "commander";
import { enterCgroup } from "../cgroups.ts";
import {
  type BenchmarkOptions,
  benchmarkCommand,
  printResults,
  root,
  runBenchmark,
} from "../command-line.ts";
import { describeMachine } from "../machine.ts";
import { arrangeMounts } from "../private-mounts.ts";
import { endZygotes } from "../zygotes.ts";
import { measure } from "./measure.ts";
import { buildPrograms } from "./programs.ts";
import { formatWasmResults } from "./report.ts";
import { findSystems } from "./systems.ts";

interface Options extends BenchmarkOptions {
  readonly programs?: string;
  readonly wasmtime: string;
  readonly coremark?: string;
}

const command = benchmarkCommand("bench:wasm", { subjects: "systems", passNames: ["kernels"], rounds: 7 })
  .description("CPU-bound programs, each run once from its start, in Tandem, wasmtime and natively")
  .option("--programs <programs>", "names, separated by commas")
  .option("--wasmtime <executable>", "wasmtime", join(root, ".cache/wasmtime/bin/wasmtime"))
  .option("--coremark <directory>", "a checkout of eembc/coremark, to measure it as well", parseCoremark);

function parseCoremark(directory: string): string {
  if (!existsSync(join(directory, "core_main.c"))) throw new InvalidArgumentError("no core_main.c in it");
  return directory;
}

/** On the tmpfs that arrangeMounts has put on /run. */
const runDirectory = "/run/bench";

async function measureInside(directory: string, options: Options): Promise<number> {
  const machine = describeMachine();
  enterCgroup(basename(directory));
  arrangeMounts();
  mkdirSync(runDirectory);
  const wanted = options.programs?.split(",").filter(Boolean);
  const programs = (await buildPrograms(join(directory, "programs"), options.coremark)).filter(
    ({ name }) => wanted?.includes(name) ?? true,
  );
  const { wasmtime, dist } = options;
  const { systems, absent } = findSystems({ dist, directory, runDirectory, wasmtime });
  const isWanted = ({ name }: { readonly name: string }): boolean => options.only?.includes(name) ?? true;
  const chosen = systems.filter(isWanted);
  const progress = options.json !== true && process.stderr.isTTY;
  const measured = await measure(programs, chosen, {
    rounds: options.rounds,
    directory,
    onRun: (what) => void (progress && process.stderr.write(`\r\x1b[K${what}`)),
  });
  if (progress) process.stderr.write("\r\x1b[K");
  const results = {
    machine,
    programs: programs.map(({ name, about }) => ({ name, about })),
    systems: chosen.map(({ name, description }) => ({ name, description })),
    measured,
    missing: absent.filter(isWanted),
  };
  printResults(results, options, formatWasmResults);
  return 0;
}

await runBenchmark<Options>(command, fileURLToPath(import.meta.url), async (directory, options) => {
  try {
    return await measureInside(directory, options);
  } finally {
    endZygotes(`${runDirectory}/z/*/zygote.pid`);
  }
});
