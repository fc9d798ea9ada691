import { readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");

export function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Rows of the table below a heading, as cells, without the header and the line beneath it. */
export function tableBelow(markdown: string, heading: string): string[][] {
  const lines = markdown.split("\n");
  const start = lines.indexOf(heading);
  if (start < 0) throw new Error(`no heading ${heading}`);
  const first = lines.findIndex((line, index) => index > start && line.startsWith("|"));
  const rest = lines.slice(first);
  const end = rest.findIndex((line) => !line.startsWith("|"));
  return rest.slice(2, end < 0 ? undefined : end).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

/** What stands between backticks. */
export function codesOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}

/** `a.{b,c}[]` ↦ `a.b[]`, `a.c[]`; `{}` stays. */
export function expand(pattern: string): string[] {
  const match = /\{([^{}]*,[^{}]*)\}/.exec(pattern.replaceAll("{}", "<>"));
  if (match === null) return [pattern];
  const before = pattern.slice(0, match.index);
  const after = pattern.slice(match.index + match[0].length);
  return splitAlternatives(match[1] ?? "").flatMap((one) => expand(`${before}${one}${after}`));
}

function splitAlternatives(text: string): string[] {
  return text.replaceAll("<>", "{}").split(",");
}
