import { type Results, type SystemResults, steps, stepTitles } from "./tables.ts";

const layout = { left: 150, right: 40, top: 44, row: 34, bar: 18, width: 900 } as const;
/** From dark to light, so that it reads without colours. */
const colours = ["#1b4965", "#2f7ca3", "#62b6cb", "#9fd3dd", "#d5e9ee"] as const;

type Timed = SystemResults & Required<Pick<SystemResults, "times">>;

/** A bar for each system: the medians of the steps one after the other, with a line to the 95th percentile of the last. */
export function plotColdStarts(results: Results): string {
  const systems = results.systems.filter((system): system is Timed => system.times !== undefined);
  const longest = Math.max(...systems.map(({ times }) => times.deleted.p95), 1);
  const scale = (layout.width - layout.left - layout.right) / longest;
  const height = layout.top + systems.length * layout.row + 30;
  const parts = [
    legend(),
    ...systems.map((system, index) => row(system, index, scale)),
    axis(longest, scale, height),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${layout.width} ${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

function legend(): string {
  const step = (layout.width - layout.left) / steps.length;
  return steps
    .map((name, index) => {
      const x = layout.left + index * step;
      return `<rect x="${x}" y="12" width="12" height="12" fill="${colours[index]}"/><text x="${x + 18}" y="22">${stepTitles[name]}</text>`;
    })
    .join("\n");
}

function row({ name, times }: Timed, index: number, scale: number): string {
  const y = layout.top + index * layout.row;
  const middle = y + layout.bar / 2;
  let reached = 0;
  const bars = steps.map((step, position) => {
    const from = reached;
    reached = Math.max(reached, times[step].median);
    const x = round(layout.left + from * scale);
    return `<rect x="${x}" y="${y}" width="${round((reached - from) * scale)}" height="${layout.bar}" fill="${colours[position]}"/>`;
  });
  const end = round(layout.left + times.deleted.p95 * scale);
  const whisker = `<path d="M${round(layout.left + reached * scale)} ${middle}H${end}M${end} ${middle - 5}v10" stroke="black" fill="none"/>`;
  const label = `<text x="${layout.left - 8}" y="${middle + 4}" text-anchor="end">${escapeText(name)}</text>`;
  return [label, ...bars, whisker].join("\n");
}

function axis(longest: number, scale: number, height: number): string {
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((size) => longest / size <= 10) ?? 2000;
  const ticks = [];
  for (let value = 0; value <= longest; value += step) {
    const x = round(layout.left + value * scale);
    ticks.push(`<path d="M${x} ${layout.top - 6}V${height - 24}" stroke="#0002"/>`);
    ticks.push(
      `<text x="${x}" y="${height - 10}" text-anchor="middle">${value}${value === 0 ? " ms" : ""}</text>`,
    );
  }
  return ticks.join("\n");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
