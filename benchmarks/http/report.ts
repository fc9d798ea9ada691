import Table from "cli-table3";
import type { Summary } from "../statistics.ts";
import type { HttpMeasured } from "./measure.ts";
import type { Absent } from "./servers.ts";

/** Everything that one run has found out. Plain data: --json prints it as it is. */
export interface HttpResults {
  readonly machine: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly programs: readonly { readonly name: string; readonly about: string }[];
  readonly systems: readonly { readonly name: string; readonly description: string }[];
  readonly measured: readonly HttpMeasured[];
  readonly missing: readonly Absent[];
}

export function formatHttpResults(results: HttpResults): string {
  const lines = [
    ...Object.entries(results.machine).map(([name, value]) => `${name}: ${value}`),
    ...results.systems.map(({ name, description }) => `${name}: ${description}`),
    ...results.missing.map(({ name, reason }) => `${name}: not measured: ${reason}`),
    ...results.programs.map(({ name, about }) => `${name}: ${about}`),
    "",
    `${results.connections} connections; of the rounds, the median (least–95th percentile); × is by wasmtime`,
    table(results),
  ];
  return `${lines.join("\n")}\n`;
}

function table({ measured }: HttpResults): string {
  const output = new Table({
    head: ["component", "instances", "system", "requests/s", "", "p50, ms", "p99, ms", "failed"],
    style: { head: [], border: [] },
  });
  for (const one of measured) {
    const other = measured.find(
      ({ program, mode, system }) =>
        program === one.program && mode === one.mode && system === "wasmtime" && one.system !== system,
    );
    output.push([
      ...[one.program, one.mode, one.system, range(one.perSecond, 0)],
      other === undefined ? "" : `× ${(one.perSecond.median / other.perSecond.median).toFixed(2)}`,
      ...[range(one.p50, 1), range(one.p99, 1), one.failures],
    ]);
  }
  return output.toString();
}

function range({ median, min, p95 }: Summary, digits: number): string {
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${p95.toFixed(digits)})`;
}
