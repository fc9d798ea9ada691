/**
 * `npm run bench`: drives shims as containerd does, and measures them. See README.md.
 *
 *     main.ts ──┬─ unshare ─▶ main.ts --inside DIR      measures, in a mount namespace and cgroup of its own
 *               └─ afterwards: ends what is left, removes the cgroups and the directory
 */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { enterCgroup, openCgroups } from "./cgroups.ts";
import { parseCount, parseNames } from "./command-line.ts";
import { describeMachine } from "./machine.ts";
import { runOutside } from "./outside.ts";
import { passNames, runPasses } from "./passes.ts";
import { arrangeMounts } from "./private-mounts.ts";
import { plotColdStarts } from "./report/plot.ts";
import { formatResults, type Results } from "./report/tables.ts";
import { findSystems } from "./systems.ts";
import { Workspace } from "./workspace.ts";

const program = fileURLToPath(import.meta.url);
const root = join(program, "../..");

interface Options {
  readonly rounds: number;
  readonly only?: readonly string[];
  readonly passes: readonly string[];
  readonly pods: number;
  readonly tasks: number;
  readonly age: number;
  readonly json?: true;
  readonly plot?: string;
  readonly dist: string;
  readonly inside?: string;
}

function parseOptions(): Options {
  return new Command("bench")
    .description("Cold starts, page faults, memory and throughput of Tandem beside containerd-shim-runc-v2")
    .option("-n, --rounds <n>", "rounds of cold starts", parseCount, 30)
    .option("--only <systems>", "names, separated by commas", parseNames)
    .option("--passes <passes>", `of ${passNames.join(", ")}`, parseNames, [...passNames])
    .option("--pods <n>", "idle pods whose memory is measured", parseCount, 50)
    .option("--tasks <n>", "containers to measure throughput with", parseCount, 80)
    .option("--age <seconds>", "leave a zygote alone for so long before it is measured", parseCount, 0)
    .option("--json", "print the results as JSON and nothing else")
    .option("--plot <file>", "draw the cold starts into an SVG file")
    .option("--dist <directory>", "the Tandem to measure, as npm run build leaves it", join(root, "dist"))
    .addOption(new Option("--inside <directory>").hideHelp())
    .parse()
    .opts<Options>();
}

async function inside(directory: string, options: Options): Promise<number> {
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
  report(results, options);
  return results.missing.length > 0 ? 1 : 0;
}

function report(results: Results, options: Options): void {
  const text = options.json === true ? JSON.stringify(results, undefined, 2) : `\n${formatResults(results)}`;
  process.stdout.write(`${text}\n`);
  if (options.plot !== undefined) writeFileSync(options.plot, plotColdStarts(results));
}

const options = parseOptions();
try {
  const status = await (options.inside === undefined ? runOutside(program) : inside(options.inside, options));
  process.exit(status);
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
