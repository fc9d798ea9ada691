/**
 * `npm run bench:oci`: calls OCI runtimes by their command lines, in turns, and measures them. See ../README.md.
 *
 *     main.ts ──┬─ unshare ─▶ main.ts --inside DIR ──▶ rounds (C)      measures, in a mount namespace and cgroups of its own
 *               └─ afterwards: ends what is left, removes the cgroups and the directory
 */
import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError } from "commander";
import { enterCgroup, openCgroups } from "../cgroups.ts";
import {
  type BenchmarkOptions,
  benchmarkCommand,
  parseCount,
  printResults,
  root,
  runBenchmark,
} from "../command-line.ts";
import { describeMachine } from "../machine.ts";
import { arrangeMounts } from "../private-mounts.ts";
import { endZygotes } from "../zygotes.ts";
import { createRootfs } from "./bundles.ts";
import { Driver } from "./driver.ts";
import type { Bench } from "./measure.ts";
import { passNames, runPasses } from "./passes.ts";
import { formatOciResults } from "./report.ts";
import { findRuntimes } from "./runtimes.ts";

interface Options extends BenchmarkOptions {
  readonly containers: number;
  readonly with: ReadonlyMap<string, string>;
}

const command = benchmarkCommand("bench:oci", { subjects: "runtimes", passNames, rounds: 100 })
  .description("`tandem oci` beside other OCI runtimes: times, page faults, a thousand containers")
  .option("--containers <n>", "containers that are alive at once", parseCount, 1000)
  .option("--with <name=executable>", "the runtime that a name stands for", parseExecutable, new Map());

function parseExecutable(text: string, before: ReadonlyMap<string, string>): Map<string, string> {
  const [name = "", path = ""] = text.split("=");
  if (!existsSync(path)) throw new InvalidArgumentError("not NAME=EXECUTABLE");
  return new Map([...before, [name, path]]);
}

/** On the tmpfs that arrangeMounts has put on /run. */
const runDirectory = "/run/bench";

async function measure(directory: string, options: Options): Promise<number> {
  const machine = describeMachine();
  enterCgroup(basename(directory));
  arrangeMounts();
  mkdirSync(runDirectory);
  const { runtimes, absent } = findRuntimes({
    dist: options.dist,
    cache: join(root, ".cache"),
    run: runDirectory,
    state: join(directory, "state"),
    given: options.with,
  });
  const isWanted = ({ name }: { readonly name: string }): boolean => options.only?.includes(name) ?? true;
  const { missing, ...rest } = await runPasses(openBench(directory), runtimes.filter(isWanted), {
    ...options,
    passes: new Set(options.passes),
    quiet: options.json === true,
  });
  const results = { machine, ...rest, missing: [...absent.filter(isWanted), ...missing] };
  printResults(results, options, formatOciResults);
  return missing.length > 0 ? 1 : 0;
}

function openBench(directory: string): Bench {
  const rootfs = join(directory, "rootfs");
  createRootfs(rootfs);
  for (const name of ["runtime", "bundles", "alive"]) mkdirSync(join(directory, name));
  const cgroups = openCgroups(basename(directory));
  return { directory, rootfs, cgroups, driver: Driver.compile(directory) };
}

await runBenchmark<Options>(command, fileURLToPath(import.meta.url), async (directory, options) => {
  try {
    return await measure(directory, options);
  } finally {
    endZygotes(`${runDirectory}/z/*/zygote.pid`);
  }
});
