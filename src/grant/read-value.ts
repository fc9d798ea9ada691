import { createHash } from "node:crypto";
import type { MadeUpClocks, SeededRandom } from "../../wasm-host/grant.ts";
import { TandemError } from "../errors.ts";

/** Decimal or 0x…, with `_` between digits as Rust writes them. @throws TandemError invalid_argument */
export function readCount(what: string, text: string): number {
  const digits = text.replaceAll("_", "");
  const count = /^(\d+|0x[0-9a-fA-F]+)$/.test(digits) ? Number(digits) : Number.NaN;
  if (!Number.isSafeInteger(count)) throw new TandemError("invalid_argument", `${what}: is no count`);
  return count;
}

const unitsInMs: Readonly<Record<string, number>> = {
  "": 1000,
  s: 1000,
  ms: 1,
  us: 1e-3,
  μs: 1e-3,
  ns: 1e-6,
};

/** "10", "10s", "500ms", "7us", "7ns" in milliseconds, rounded up. @throws TandemError invalid_argument */
export function readDuration(what: string, text: string): number {
  const [, digits = "", unit = ""] = /^(\d+)([a-zμ]*)$/.exec(text) ?? [];
  const factor = Object.hasOwn(unitsInMs, unit) ? unitsInMs[unit] : undefined;
  const milliseconds = Math.ceil(Number(digits) * (factor ?? Number.NaN));
  if (digits === "" || !Number.isSafeInteger(milliseconds))
    throw new TandemError("invalid_argument", `${what}: is no duration such as 10s or 500ms`);
  return milliseconds;
}

const DEFAULT_STEP_NS = 1000;

/** y, yes, true, n, no or false; y without a value. @throws TandemError invalid_argument */
export function readSwitch(what: string, value: string | undefined): boolean {
  if (value === undefined || value === "y" || value === "yes" || value === "true") return true;
  if (value === "n" || value === "no" || value === "false") return false;
  throw new TandemError("invalid_argument", `${what}: is y or n`);
}

/** START[,STEP]: seconds since 1970, and nanoseconds. @throws TandemError invalid_argument */
export function readClock(what: string, text: string): MadeUpClocks {
  const [, start = "", step = String(DEFAULT_STEP_NS)] = /^(\d+(?:\.\d{1,3})?)(?:,(\d+))?$/.exec(text) ?? [];
  const clocks = { startMs: Math.round(Number(start) * 1000), stepNs: Number(step) };
  if (start === "" || !Number.isSafeInteger(clocks.startMs) || !Number.isSafeInteger(clocks.stepNs))
    throw new TandemError("invalid_argument", `${what}: is no START[,STEP]`);
  return clocks;
}

/** Whatever its length, a text makes 32 bytes; 64 hexadecimal digits are these bytes themselves. */
export function readSeed(text: string): SeededRandom {
  const isSeed = /^[0-9a-f]{64}$/i.test(text);
  return { seed: isSeed ? text.toLowerCase() : createHash("sha256").update(text).digest("hex") };
}
