import Table from "cli-table3";

const sides = ["top", "bottom", "mid", "left", "right", "middle"];
const corners = ["top", "bottom"].flatMap((side) =>
  ["mid", "left", "right"].map((corner) => `${side}-${corner}`),
);
const noLines = Object.fromEntries(
  [...sides, ...corners, "left-mid", "mid-mid", "right-mid"].map((name) => [name, ""]),
);

/** Columns without lines, as `ps` and `docker` print them. Ends with a newline. */
export function plainTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const style = { head: [], border: [], "padding-left": 0, "padding-right": 2 };
  const table = new Table({ head: [...head], style, chars: noLines });
  table.push(...rows.map((row) => [...row]));
  return `${table.toString()}\n`;
}
