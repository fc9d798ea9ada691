import { constants } from "node:os";
import { TandemError } from "../errors.ts";

const SIGRTMIN = 34;
const SIGRTMAX = 64;

/** "9", "KILL", "SIGKILL", "RTMIN+3". @throws TandemError invalid_argument */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    if (number <= SIGRTMAX) return number;
  }
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = constants.signals[`SIG${name}` as NodeJS.Signals];
  if (known !== undefined) return known;
  const realTime = /^RTMIN(?:\+(\d+))?$/.exec(name) ?? undefined;
  const fromTop = /^RTMAX(?:-(\d+))?$/.exec(name) ?? undefined;
  const number =
    realTime !== undefined
      ? SIGRTMIN + Number(realTime[1] ?? 0)
      : fromTop !== undefined
        ? SIGRTMAX - Number(fromTop[1] ?? 0)
        : -1;
  if (number >= SIGRTMIN && number <= SIGRTMAX) return number;
  throw new TandemError("invalid_argument", `unknown signal ${JSON.stringify(text)}`);
}
