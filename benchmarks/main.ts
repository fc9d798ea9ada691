/**
 * `npm run bench`: drives shims as containerd does, and measures them. See README.md.
 *
 *     main.ts ──┬─ unshare ─▶ main.ts --inside DIR      measures, in a mount namespace and cgroup of its own
 *               └─ afterwards: ends what is left, removes the cgroups and the directory
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { enterCgroup, openCgroups } from "./cgroups.ts";
import {
  type BenchmarkOptions,
  benchmarkCommand,
  parseCount,
  printResults,
  root,
  runBenchmark,
} from "./command-line.ts";
import { describeMachine } from "./machine.ts";
import { passNames, runPasses } from "./passes.ts";
import { arrangeMounts } from "./private-mounts.ts";
import { plotColdStarts } from "./report/plot.ts";
import { formatResults } from "./report/tables.ts";
import { findSystems } from "./systems.ts";
import { Workspace } from "./workspace.ts";

interface Options extends BenchmarkOptions {
  readonly pods: number;
  readonly tasks: number;
  readonly age: number;
  readonly plot?: string;
}

const command = benchmarkCommand("bench", { subjects: "systems", passNames, rounds: 30 })
  .description("Cold starts, page faults, memory and throughput of Tandem beside containerd-shim-runc-v2")
  .option("--pods <n>", "idle pods whose memory is measured", parseCount, 50)
  .option("--tasks <n>", "containers to measure throughput with", parseCount, 80)
  .option("--age <seconds>", "leave a zygote alone for so long before it is measured", parseCount, 0)
  .option("--plot <file>", "draw the cold starts into an SVG file");

async function measure(directory: string, options: Options): Promise<number> {
  const machine = describeMachine();
  const name = basename(directory);
  enterCgroup(name);
  arrangeMounts();
  const { systems, absent } = findSystems(options.dist, join(root, ".cache"));
  const unknown = options.only?.filter(
    (only) => ![...systems, ...absent].some((system) => system.name === only),
  );
  if (unknown !== undefined && unknown.length > 0) throw new Error(`no such system: ${unknown.join(", ")}`);
  const isWanted = (system: { readonly name: string }): boolean =>
    options.only?.includes(system.name) ?? true;
  const workspace = await Workspace.open(directory, openCgroups(name));
  const { missing, ...rest } = await runPasses(workspace, systems.filter(isWanted), {
    ...options,
    passes: new Set(options.passes),
    ageMs: options.age * 1000,
    quiet: options.json === true,
    lib: join(options.dist, "lib/tandem"),
    directory,
  });
  const results = { machine, ...rest, missing: [...absent.filter(isWanted), ...missing] };
  await workspace.close();
  printResults(results, options, formatResults);
  if (options.plot !== undefined) writeFileSync(options.plot, plotColdStarts(results));
  return results.missing.length > 0 ? 1 : 0;
}

await runBenchmark(command, fileURLToPath(import.meta.url), measure);
