/**
 * `npm run bench:http`: how many requests http components answer, beside wasmtime. See ../README.md.
 *
 *     main.ts ──┬─ unshare ─▶ main.ts --inside DIR      measures, in a mount namespace of its own
 *               └─ afterwards: ends what is left, removes the directory
 */
import { mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { enterCgroup } from "../cgroups.ts";
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
import { buildHttpPrograms } from "./components.ts";
import { measureHttp } from "./measure.ts";
import { formatHttpResults } from "./report.ts";
import { findHttpSystems } from "./servers.ts";

interface Options extends BenchmarkOptions {
  readonly programs?: string;
  readonly wasmtime: string;
  readonly seconds: number;
  readonly connections: number;
}

const command = benchmarkCommand("bench:http", { subjects: "systems", passNames: ["requests"], rounds: 5 })
  .description(
    "Requests per second of http components in Tandem and wasmtime, with fresh instances and reused ones",
  )
  .option("--programs <programs>", "names, separated by commas")
  .option("--seconds <n>", "of each round", parseCount, 3)
  .option("--connections <n>", "at once", parseCount, 50)
  .option("--wasmtime <executable>", "wasmtime", join(root, ".cache/wasmtime/bin/wasmtime"));

/** On the tmpfs that arrangeMounts has put on /run. */
const runDirectory = "/run/bench";

async function measureInside(directory: string, options: Options): Promise<number> {
  const machine = describeMachine();
  enterCgroup(basename(directory));
  arrangeMounts();
  mkdirSync(runDirectory);
  const wanted = options.programs?.split(",").filter(Boolean);
  const programs = (await buildHttpPrograms(directory)).filter(({ name }) => wanted?.includes(name) ?? true);
  const { wasmtime, dist, connections, rounds, seconds } = options;
  const { systems, absent } = findHttpSystems({ dist, directory, runDirectory, wasmtime });
  const isWanted = ({ name }: { readonly name: string }): boolean => options.only?.includes(name) ?? true;
  const chosen = systems.filter(isWanted);
  const progress = options.json !== true && process.stderr.isTTY;
  const measured = await measureHttp(programs, chosen, {
    ...{ rounds, seconds, connections },
    onRound: (what) => void (progress && process.stderr.write(`\r\x1b[K${what}`)),
  });
  if (progress) process.stderr.write("\r\x1b[K");
  const results = {
    machine,
    connections,
    programs: programs.map(({ name, about }) => ({ name, about })),
    systems: chosen.map(({ name, description }) => ({ name, description })),
    measured,
    missing: absent.filter(isWanted),
  };
  printResults(results, options, formatHttpResults);
  return 0;
}

await runBenchmark<Options>(command, fileURLToPath(import.meta.url), async (directory, options) => {
  try {
    return await measureInside(directory, options);
  } finally {
    endZygotes(`${runDirectory}/z/*/zygote.pid`);
  }
});
