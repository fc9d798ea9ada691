import { basename } from "node:path";
import { styleText } from "node:util";
import Table from "cli-table3";
import type { PodNetwork } from "./network.ts";
import type { Outcome } from "./workloads.ts";

/** The main job's result, as `--json` prints it. */
export interface Report {
  readonly containerd: string;
  readonly network: PodNetwork;
  /** Where everything of the run was: root, state, sockets, caches, the registry. */
  readonly directory: string;
  readonly containers: readonly ReportedContainer[];
}

export interface ReportedContainer {
  readonly name: string;
  readonly pod: string;
  readonly mediaTypes: readonly string[];
  readonly executor: "wasm" | "linux";
  readonly pid: number;
  readonly namespaces: {
    readonly own: readonly string[];
    readonly pod: readonly string[];
    readonly host: readonly string[];
  };
  readonly cgroup: string;
  /** Bytes, PSS. */
  readonly memory: number;
  readonly coldStartMs: number;
  readonly againMs?: number;
  readonly exitStatus?: number;
  readonly url?: string;
  readonly said: readonly string[];
}

export function toReported({ container, ...outcome }: Outcome): ReportedContainer {
  const { name, pod, mediaTypes, executor, pid, namespaces, cgroup, memory, coldStartMs } = container;
  const rounded = Math.round(coldStartMs * 10) / 10;
  return {
    name,
    pod,
    mediaTypes,
    executor,
    pid,
    namespaces,
    cgroup,
    memory,
    coldStartMs: rounded,
    ...outcome,
  };
}

export interface TableOptions {
  readonly colour: boolean;
  /** Of the terminal: a table that does not fit would be broken into something that nobody can read. */
  readonly columns: number;
}

const widths = { container: 34, executor: 10, process: 23, memory: 9, firstByte: 13, result: 24 } as const;
const tableWidth = Object.values(widths).reduce((sum, width) => sum + width, Object.keys(widths).length + 1);

const note = [
  "first byte: from CRI's StartContainer to the first line or the first answer; below it, that of a second container.",
  "The first start of a component on a node includes its translation to JavaScript, which is kept: mixed-pod's function is",
  "http-function's image, started again. memory: PSS; pages shared with other processes count in parts.",
].join("\n");

export function renderTable(report: Report, options: TableOptions): string {
  const body = options.columns < tableWidth ? renderCards(report, options) : renderWide(report, options);
  return `${body}\n${note}`;
}

function renderWide({ containers }: Report, { colour, columns }: TableOptions): string {
  const bold = boldIf(colour);
  const result = widths.result + Math.min(columns, 160) - tableWidth;
  const table = new Table({
    head: ["container\nmedia types (application/…)", "executor", "process", "memory", "first byte", "result"],
    colWidths: Object.values({ ...widths, result }),
    style: { head: colour ? ["bold"] : [], border: colour ? ["gray"] : [] },
  });
  for (const container of containers) {
    table.push([
      [
        bold(container.name) + (container.pod === container.name ? "" : ` in ${container.pod}`),
        ...container.mediaTypes.map((type) => type.replace("application/", "")),
      ].join("\n"),
      bold(container.executor),
      [`pid ${container.pid}`, ...namespaceLines(container), `cgroup …/${shortGroup(container)}`].join("\n"),
      megabytes(container.memory),
      starts(container).join("\n"),
      resultLines(container, result - 2).join("\n"),
    ]);
  }
  return table.toString();
}

function renderCards({ containers }: Report, { colour, columns }: TableOptions): string {
  const bold = boldIf(colour);
  const indent = " ".repeat(15);
  const cards = containers.map((container) =>
    [
      `${bold(container.name)} in pod ${container.pod}`,
      `  media types  ${container.mediaTypes.join(`\n${indent}`)}`,
      `  executor     ${bold(container.executor)}`,
      `  pid          ${container.pid}`,
      `  namespaces   ${namespaceLines(container).join("; ")}`,
      `  cgroup       …/${shortGroup(container)}`,
      `  memory       ${megabytes(container.memory)}`,
      `  first byte   ${starts(container).join(", ")}`,
      `  result       ${resultLines(container, Math.max(columns - indent.length, 20)).join(`\n${indent}`)}`,
      "",
    ].join("\n"),
  );
  return cards.join("\n");
}

function boldIf(colour: boolean): (text: string) => string {
  return (text) => (colour ? styleText("bold", text, { validateStream: false }) : text);
}

function namespaceLines({ namespaces }: ReportedContainer): string[] {
  const { own, pod, host } = namespaces;
  const lines = Object.entries({ own, pod, host }).filter(([, kinds]) => kinds.length > 0);
  return lines.map(([whose, kinds]) => `${whose}: ${kinds.join(" ")}`);
}

/** The container's own part of the path, its id shortened as `docker ps` does it. */
function shortGroup({ cgroup }: ReportedContainer): string {
  return basename(cgroup).slice(0, 12);
}

/** How it ended first, then what it said, each line cut to the width. */
function resultLines({ exitStatus, said, url }: ReportedContainer, width: number): string[] {
  const head = exitStatus === undefined ? "serves" : `exit ${exitStatus}`;
  const lines = [url === undefined ? head : url, ...summarise(said)];
  return lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** The same line again and again is counted; a greeting's arguments and environment are left out. */
function summarise(said: readonly string[]): string[] {
  const lines = said.filter((line) => !line.startsWith("env ") && !line.startsWith("arg "));
  return [...Map.groupBy(lines, (line) => line)].map(([line, all]) =>
    all.length > 1 ? `${all.length} × ${line}` : line,
  );
}

function starts({ coldStartMs, againMs }: ReportedContainer): string[] {
  const again = againMs === undefined ? [] : [milliseconds(againMs)];
  return [milliseconds(coldStartMs), ...again];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function milliseconds(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}
