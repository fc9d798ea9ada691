import Table, { type TableConstructorOptions } from "cli-table3";
import { formatSummary } from "../report/tables.ts";
import type { Alive, StepSummaries } from "./measure.ts";

/** Everything that one run has found out. Plain data: --json prints it as it is. */
export interface OciResults {
  readonly machine: Readonly<Record<string, string>>;
  readonly runtimes: readonly RuntimeResults[];
  /** What was not measured, and why. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

export interface RuntimeResults {
  readonly name: string;
  readonly description: string;
  /** Milliseconds of a container of /bin/true, and of one with many mounts and a large seccomp profile. */
  readonly plain?: StepSummaries;
  readonly mounts?: StepSummaries;
  readonly faults?: { readonly run: number | undefined; readonly life: number };
  readonly alive?: Alive;
  readonly monitored?: Alive;
}

/** The runtime that all ratios are to. */
const BASE = "crun";

const plain: TableConstructorOptions = { style: { head: [], border: [] } };

/** The report as text. */
export function formatOciResults(results: OciResults): string {
  const { machine, runtimes, missing } = results;
  const parts = [
    Object.entries(machine).map(([key, value]) => `${key}: ${value}`),
    runtimes.map(({ name, description }) => `${name}: ${description}`),
    missing.map(
      ({ name, reason }) => `not measured: ${name}: ${reason.replaceAll(/\s+/g, " ").slice(0, 300)}`,
    ),
    runtimes.some((runtime) => runtime.plain) ? ["/bin/true", timesTable(runtimes, "plain")] : [],
    runtimes.some((runtime) => runtime.mounts)
      ? ["/bin/true with 50 mounts more and a large seccomp profile", timesTable(runtimes, "mounts")]
      : [],
    runtimes.some(({ faults }) => faults) ? [faultsTable(runtimes)] : [],
    runtimes.some(({ alive, monitored }) => alive ?? monitored) ? [aliveTable(runtimes)] : [],
  ];
  return parts
    .filter((part) => part.length > 0)
    .map((part) => part.join("\n"))
    .join("\n\n");
}

function timesTable(runtimes: readonly RuntimeResults[], kind: "plain" | "mounts"): string {
  const base = runtimes.find(({ name }) => name === BASE)?.[kind];
  const steps = ["run", "create", "start", "delete", "life"];
  const head = ["ms: median (min–p95)", "n", "run", "create", "start", "delete", "the three"];
  const table = new Table({ ...plain, head: [...head, `run, ${BASE} = 1`, `the three, ${BASE} = 1`] });
  for (const { name, [kind]: times } of runtimes) {
    if (times === undefined) continue;
    const cells = steps.map((step) => (times[step] === undefined ? "" : formatSummary(times[step])));
    table.push([
      name,
      (times["life"] ?? times["run"])?.count ?? 0,
      ...cells,
      ratio(times, base, "run"),
      ratio(times, base, "life"),
    ]);
  }
  return table.toString();
}

function ratio(times: StepSummaries, base: StepSummaries | undefined, step: string): string {
  const [own, other] = [times[step], base?.[step]];
  return own === undefined || other === undefined ? "" : `× ${(own.median / other.median).toFixed(2)}`;
}

function faultsTable(runtimes: readonly RuntimeResults[]): string {
  const table = new Table({ ...plain, head: ["page faults", "run", "create, start, delete"] });
  for (const { name, faults } of runtimes)
    if (faults !== undefined) table.push([name, faults.run?.toFixed(0) ?? "", faults.life.toFixed(0)]);
  return table.toString();
}

function aliveTable(runtimes: readonly RuntimeResults[]): string {
  const head = ["containers alive", "n", "first", "last", "last, first = 1", "PSS each", "MemAvailable each"];
  const table = new Table({ ...plain, head });
  for (const { name, alive, monitored } of runtimes) {
    if (alive !== undefined) table.push([name, ...aliveCells(alive)]);
    if (monitored !== undefined) table.push([`${name} + conmon`, ...aliveCells(monitored)]);
  }
  return table.toString();
}

function aliveCells({ containers, first, last, pss, available }: Alive): string[] {
  return [
    String(containers),
    `${first.toFixed(1)} ms`,
    `${last.toFixed(1)} ms`,
    `× ${(last / first).toFixed(2)}`,
    `${pss.toFixed(0)} kB`,
    `${available.toFixed(0)} kB`,
  ];
}
