import Table from "cli-table3";
import type { Measured } from "./measure.ts";
import type { Absent } from "./systems.ts";

/** Everything that one run has found out. Plain data: --json prints it as it is. */
export interface WasmResults {
  readonly machine: Readonly<Record<string, string>>;
  readonly programs: readonly { readonly name: string; readonly about: string }[];
  readonly systems: readonly { readonly name: string; readonly description: string }[];
  readonly measured: readonly Measured[];
  readonly missing: readonly Absent[];
}

/** Whose time is divided by whose, and how it is called in the table. */
const ratios = [
  ["tandem", "wasmtime"],
  ["tandem-cold", "wasmtime-cold"],
  ["tandem", "native"],
] as const;

export function formatWasmResults(results: WasmResults): string {
  const lines = [
    ...Object.entries(results.machine).map(([name, value]) => `${name}: ${value}`),
    ...results.systems.map(({ name, description }) => `${name}: ${description}`),
    ...results.missing.map(({ name, reason }) => `${name}: not measured: ${reason}`),
    "",
    "Milliseconds by the clock, from the request to the end: median (least)",
    table(results, "wall"),
    "",
    "Milliseconds of all processors together",
    table(results, "cpu"),
    "",
    ...results.programs.map(({ name, about }) => `${name}: ${about}`),
  ];
  return `${lines.join("\n")}\n`;
}

function table(results: WasmResults, which: "wall" | "cpu"): string {
  const { systems, programs } = results;
  const of = (program: string, system: string): Measured | undefined =>
    results.measured.find((one) => one.program === program && one.system === system);
  const ratio = (program: string, [one, other]: readonly [string, string]): number =>
    (of(program, one)?.[which].median ?? Number.NaN) / (of(program, other)?.[which].median ?? Number.NaN);
  const shown = ratios.filter((pair) => pair.every((name) => systems.some((system) => system.name === name)));
  const output = new Table({
    head: ["", ...systems.map(({ name }) => name), ...shown.map(([one, other]) => `${one} / ${other}`)],
    style: { head: [], border: [] },
  });
  for (const { name } of programs)
    output.push([
      name,
      ...systems.map((system) => {
        const summary = of(name, system.name)?.[which];
        return summary === undefined ? "" : `${summary.median.toFixed(0)} (${summary.min.toFixed(0)})`;
      }),
      ...shown.map((pair) => `× ${ratio(name, pair).toFixed(2)}`),
    ]);
  output.push([
    "geometric mean",
    ...systems.map(() => ""),
    ...shown.map((pair) => `× ${geometricMean(programs.map(({ name }) => ratio(name, pair))).toFixed(2)}`),
  ]);
  return output.toString();
}

/** NaN for no values, and where one of them is. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
