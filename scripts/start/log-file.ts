import { existsSync, readFileSync } from "node:fs";

/** A line of a CRI log: `2026-01-02T03:04:05.123456789Z stdout F text`. */
export interface LogLine {
  /** Milliseconds since 1970, with fractions. */
  readonly time: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

const pattern = /^(\S+)\.(\d+)(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] ?(.*)$/;

/** The lines that containerd has written so far, each stamped when it came from the container. */
export function readLog(path: string): LogLine[] {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  return text.split("\n").flatMap((line) => {
    const [, seconds, fraction, zone, stream, rest] = pattern.exec(line) ?? [];
    if (seconds === undefined || rest === undefined) return [];
    const time = Date.parse(`${seconds}${zone}`) + Number(`0.${fraction}`) * 1000;
    return [{ time, stream: stream === "stderr" ? "stderr" : "stdout", text: rest }];
  });
}
