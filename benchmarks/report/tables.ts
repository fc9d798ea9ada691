import Table, { type TableConstructorOptions } from "cli-table3";
import type { Times } from "../container/lifecycle.ts";
import type { IdleMemory } from "../measure/idle-memory.ts";
import { type Summary, summarise } from "../statistics.ts";

/** Everything that one run has found out. Plain data: --json prints it as it is. */
export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  readonly systems: readonly SystemResults[];
  readonly micro: readonly MicroResult[];
  /** What was not measured, and why. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[];
}

export interface SystemResults {
  readonly name: string;
  readonly description: string;
  /** Milliseconds from the exec of `start`. */
  readonly times?: Readonly<Record<keyof Times, Summary>>;
  readonly pageFaults?: number;
  readonly idle?: IdleMemory;
  readonly tasksPerSecond?: number;
}

export interface MicroResult {
  readonly name: string;
  readonly value: string;
}

export const steps = ["started", "created", "firstByte", "exited", "deleted"] as const;

export const stepTitles: Readonly<Record<(typeof steps)[number], string>> = {
  started: "start done",
  created: "created",
  firstByte: "first byte",
  exited: "exited",
  deleted: "deleted",
};

/** The series of each step, from the times of each round. */
export function summariseTimes(times: readonly Times[]): Record<keyof Times, Summary> {
  const series = (step: keyof Times): Summary => summarise(times.map((round) => round[step]));
  return {
    started: series("started"),
    created: series("created"),
    firstByte: series("firstByte"),
    exited: series("exited"),
    deleted: series("deleted"),
  };
}

const plain: TableConstructorOptions = { style: { head: [], border: [] } };

/** Median, and in brackets least and 95th percentile. */
export function formatSummary({ median, min, p95 }: Summary): string {
  return `${median.toFixed(1)} (${min.toFixed(1)}–${p95.toFixed(1)})`;
}

/** How many times the base system's median to the first byte. */
export function ratioTo(base: SystemResults | undefined, system: SystemResults): string {
  if (base?.times === undefined || system.times === undefined) return "";
  return `× ${(system.times.firstByte.median / base.times.firstByte.median).toFixed(2)}`;
}

export function coldStartTable(results: Results): string {
  const base = results.systems.find((system) => system.name === "runc");
  const titles = steps.map((step) => stepTitles[step]);
  const ratio = base === undefined ? [] : ["first byte, runc = 1"];
  const table = new Table({ ...plain, head: ["ms: median (min–p95)", "n", ...titles, ...ratio] });
  for (const system of results.systems) {
    const { times, name } = system;
    if (times === undefined) continue;
    const cells = steps.map((step) => formatSummary(times[step]));
    const last = base === undefined ? [] : [ratioTo(base, system)];
    table.push([name, times.started.count, ...cells, ...last]);
  }
  return table.toString();
}

export function resourceTable(results: Results): string {
  const measured = results.systems.filter(
    ({ pageFaults, idle, tasksPerSecond }) => (pageFaults ?? idle ?? tasksPerSecond) !== undefined,
  );
  const pods = measured.find((system) => system.idle !== undefined)?.idle?.pods;
  const idleTitle = `PSS of an idle pod${pods === undefined ? "" : `, ${pods} of them`}`;
  const head = ["", "page faults of a cold start", idleTitle, "private dirty", "without pods", "tasks/s"];
  const table = new Table({ ...plain, head });
  for (const { name, pageFaults, idle, tasksPerSecond } of measured) {
    const memory = [idle?.each.pss, idle?.each.privateDirty, idle?.base.pss].map(formatMemory);
    table.push([name, pageFaults?.toFixed(0) ?? "", ...memory, tasksPerSecond?.toFixed(1) ?? ""]);
  }
  return table.toString();
}

function formatMemory(kilobytes: number | undefined): string {
  return kilobytes === undefined ? "" : `${(kilobytes / 1024).toFixed(2)} MB`;
}

/** A shim that fails to start prints what it likes; --json has all of it. */
function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > 240 ? `${line.slice(0, 240)}…` : line;
}

/** The whole report as text. */
export function formatResults(results: Results): string {
  const machine = Object.entries(results.machine).map(([key, value]) => `${key}: ${value}`);
  const systems = results.systems.map(({ name, description }) => `${name}: ${description}`);
  const missing = results.missing.map(({ name, reason }) => `not measured: ${name}: ${oneLine(reason)}`);
  const micro = results.micro.map(({ name, value }) => `${name}: ${value}`);
  const tables = [
    ...(results.systems.some((system) => system.times !== undefined) ? [coldStartTable(results)] : []),
    ...(results.systems.some(({ pageFaults, idle, tasksPerSecond }) => pageFaults ?? idle ?? tasksPerSecond)
      ? [resourceTable(results)]
      : []),
  ];
  return [machine, systems, missing, tables, micro]
    .filter((part) => part.length > 0)
    .map((part) => part.join("\n"))
    .join("\n\n");
}
