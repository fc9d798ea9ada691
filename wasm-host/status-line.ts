import type { RanFunctions } from "../src/code/ran-functions.ts";
import type { StatusLine } from "./config.ts";

/** Characters of the longest line that is read. Which functions ran of a module with a million of them (V8 takes no more) are 167 kB. */
export const LONGEST_STATUS_LINE = 262_144;

/** How a line goes through the status pipe. */
export function encodeStatus(line: StatusLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** The last line. What only helps later runs is left out where it is too long: the status is what has to arrive. */
export function encodeExit(exit: number, ran: RanFunctions | undefined): string {
  const whole = encodeStatus(ran === undefined ? { exit } : { exit, ran });
  return whole.length <= LONGEST_STATUS_LINE ? whole : encodeStatus({ exit });
}
