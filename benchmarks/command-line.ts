import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { runOutside } from "./outside.ts";

/** What every benchmark is told. */
export interface BenchmarkOptions {
  readonly rounds: number;
  readonly only?: readonly string[];
  readonly passes: readonly string[];
  readonly json?: true;
  readonly dist: string;
  /** The directory to measure in; without it, this is the process that makes one. */
  readonly inside?: string;
}

/** The directory of this tree. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * A command that knows every benchmark's options.
 *
 * @param subjects what --only chooses from
 * @param passNames of all passes
 */
export function benchmarkCommand(
  name: string,
  {
    subjects,
    passNames,
    rounds,
  }: { readonly subjects: string; readonly passNames: readonly string[]; readonly rounds: number },
): Command {
  return new Command(name)
    .option("-n, --rounds <n>", "rounds", parseCount, rounds)
    .option(`--only <${subjects}>`, "names, separated by commas", parseNames)
    .option("--passes <passes>", `of ${passNames.join(", ")}`, parseNames, [...passNames])
    .option("--json", "print the results as JSON and nothing else")
    .option("--dist <directory>", "the Tandem to measure, as npm run build leaves it", join(root, "dist"))
    .addOption(new Option("--inside <directory>").hideHelp());
}

/**
 * Does what the command line asks for and ends the process: measures, or runs the same once more in a place of its own.
 *
 * @param program the file that Node runs
 * @param measure in a directory; gives the exit status
 */
export async function runBenchmark<Options extends BenchmarkOptions>(
  command: Command,
  program: string,
  measure: (directory: string, options: Options) => Promise<number>,
): Promise<never> {
  const options = command.parse().opts<Options>();
  try {
    const { inside } = options;
    process.exit(await (inside === undefined ? runOutside(program) : measure(inside, options)));
  } catch (error) {
    process.stderr.write(`${command.name()}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

/** Prints the results: plain data as JSON, or as `format` writes them. */
export function printResults<Results>(
  results: Results,
  { json }: BenchmarkOptions,
  format: (results: Results) => string,
): void {
  process.stdout.write(`${json === true ? JSON.stringify(results, undefined, 2) : `\n${format(results)}`}\n`);
}

/** @throws InvalidArgumentError, which commander tells its user */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError("not a number of 1 or more");
  return count;
}

/** Separated by commas. */
function parseNames(text: string): string[] {
  return text.split(",").filter(Boolean);
}
