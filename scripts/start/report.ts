import Table from "cli-table3";
import type { PodNetwork } from "./network.ts";
import type { Outcome } from "./workloads.ts";

/** The main job's result, as `--json` prints it. */
export interface Report {
  readonly containerd: string;
  readonly network: PodNetwork;
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
  /** Of the terminal; a table that does not fit is broken by it into something that nobody can read. */
  readonly columns: number;
}

const tableWidth = 118;

export function renderTable(report: Report, options: TableOptions): string {
  return options.columns < tableWidth ? renderCards(report, options) : renderWide(report, options);
}

function renderWide({ containers }: Report, { colour }: TableOptions): string {
  const table = new Table({
    head: ["container", "media types", "executor", "process", "memory", "first byte", "result"],
    colWidths: [17, 24, 10, 26, 9, 12, 24],
    wordWrap: true,
    style: { head: colour ? ["bold"] : [], border: colour ? ["gray"] : [] },
  });
  for (const container of containers) {
    table.push([
      `${container.name}\npod ${container.pod}`,
      container.mediaTypes.map(foldMediaType).join("\n"),
      container.executor,
      [`pid ${container.pid}`, ...namespaceLines(container), `cgroup ${foldCgroup(container.cgroup)}`].join(
        "\n",
      ),
      megabytes(container.memory),
      milliseconds(container.coldStartMs),
      resultLines(container, 22).join("\n"),
    ]);
  }
  return table.toString();
}

function renderCards({ containers }: Report, { colour }: TableOptions): string {
  const bold = (text: string): string => (colour ? `\u001b[1m${text}\u001b[22m` : text);
  return containers
    .map((container) =>
      [
        `${bold(container.name)} (pod ${container.pod})`,
        `  media types  ${container.mediaTypes.join(", ")}`,
        `  executor     ${container.executor}`,
        `  pid          ${container.pid}`,
        `  namespaces   ${namespaceLines(container).join("; ")}`,
        `  cgroup       ${container.cgroup}`,
        `  memory       ${megabytes(container.memory)}`,
        `  first byte   ${milliseconds(container.coldStartMs)}`,
        `  result       ${resultLines(container, 64).join("\n               ")}`,
      ].join("\n"),
    )
    .join("\n\n");
}

function namespaceLines({ namespaces }: ReportedContainer): string[] {
  const { own, pod, host } = namespaces;
  const lines = Object.entries({ own, pod, host }).filter(([, kinds]) => kinds.length > 0);
  return lines.map(([whose, kinds]) => `${whose} ${kinds.join(" ")}`);
}

/** Breaks a long type where a reader would. */
function foldMediaType(type: string): string {
  return type.length <= 22 ? type : type.replace("/", "/\n ").replace(/\.(config|layer|image)\./, "\n  .$1.");
}

/** The container's own part, its id shortened as `docker ps` does it. */
function foldCgroup(cgroup: string): string {
  return cgroup.replace(/[0-9a-f]{64}/g, (id) => id.slice(0, 8)).slice(-18);
}

/** How it ended first, then what it said, each line cut to the width. */
function resultLines({ exitStatus, said, url }: ReportedContainer, width: number): string[] {
  const head = exitStatus === undefined ? "serves" : `exit ${exitStatus}`;
  const lines = [head, ...(url === undefined ? [] : [url]), ...summarise(said)];
  return lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

/** The same line again and again is counted. */
function summarise(said: readonly string[]): string[] {
  const lines = said.filter((line) => !line.startsWith("env ") && !line.startsWith("arg "));
  return [...Map.groupBy(lines, (line) => line)].map(([line, all]) =>
    all.length > 1 ? `${all.length} × ${line}` : line,
  );
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function milliseconds(value: number): string {
  return `${value < 100 ? value.toFixed(1) : Math.round(value)} ms`;
}
